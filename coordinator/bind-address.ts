/**
 * Where the coordinator's servers listen, and the rule that keeps them from strangers: without TLS
 * and tokens they bind loopback only, unless the operator says by a loud name that the network is
 * safe. Must never resolve names: only addresses that are loopback by definition count.
 */
import { MillraceError } from '../core/errors.js';

export interface BindAddress {
  readonly host: string;
  /** 0: the system chooses. */
  readonly port: number;
}

/** The loud name of the override, as a flag of the command line. */
export const EXPOSE_FLAG = '--expose-without-authentication';

export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/.test(host);
}

/** @throws MillraceError USAGE for an address beyond this machine without the override */
export function checkBindAddress(what: string, { host }: BindAddress, exposed: boolean): void {
  if (isLoopback(host) || exposed) return;
  throw new MillraceError(
    'USAGE',
    `${what} would listen on ${host}, where anyone who reaches it may run code in the workers; ` +
      `use 127.0.0.1, or say ${EXPOSE_FLAG} if the network around it is closed`,
  );
}

/** `host:port`, an IPv6 host in brackets. */
export function formatAddress({ host, port }: BindAddress): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

/** An error of listening as the operator should read it. */
export function describeListenError(
  what: string,
  address: BindAddress,
  error: unknown,
): MillraceError {
  const reason = error instanceof Error ? error.message : String(error);
  const { host, port } = address;
  if (reason.includes('EADDRINUSE')) {
    return new MillraceError(
      'PORT_IN_USE',
      `port ${port} on ${host} is in use, so ${what} can't listen there; ` +
        'stop what uses it, choose another port, or give 0 to let the system choose',
      { cause: error },
    );
  }
  return new MillraceError(
    'USAGE',
    `${what} can't listen on ${formatAddress(address)} (${reason}); give an address of this machine and a port above 1023`,
    { cause: error },
  );
}
