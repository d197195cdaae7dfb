/**
 * TLS as a job asks for it, where the machine's own trust store does not do: checked where the job is built,
 * made ready with its secrets where it runs. What is resolved must never be kept in a graph or a message.
 */
import { createSecureContext, type ConnectionOptions } from 'node:tls';
import { MillraceError } from '../core/errors.js';
import { group, optional, text } from '../core/option-check.js';
import { checkSecret, readSecret, type SecretReference } from './secret.js';

export interface TlsOptions {
  /** Certificate authorities in PEM, instead of the well-known ones. */
  readonly ca?: SecretReference;
  /** The client's certificate and key in PEM, where the server asks for one. */
  readonly certificate?: SecretReference;
  readonly key?: SecretReference;
  /** The name that the server's certificate must carry; the host of its address by default. */
  readonly serverName?: string;
}

const checkFields = group<TlsOptions>({
  ca: optional(checkSecret),
  certificate: optional(checkSecret),
  key: optional(checkSecret),
  serverName: optional(text('the name that the certificate carries')),
});

/**
 * @param name how the job calls it, such as `tls`
 * @throws MillraceError PARAM_INVALID naming what is wrong
 */
export function checkTls(name: string, tls: unknown): void {
  checkFields(name, tls);
  const { certificate, key } = tls as TlsOptions;
  if ((certificate === undefined) !== (key === undefined)) {
    throw new MillraceError(
      'PARAM_INVALID',
      `${name} has a certificate or a key, but not both; give both`,
    );
  }
}

/** @throws MillraceError PARAM_INVALID naming the secret that is not there, or is no PEM */
export async function resolveTls(option: string, tls: TlsOptions): Promise<ConnectionOptions> {
  const { ca, certificate, key, serverName } = tls;
  const resolved = {
    ...(ca === undefined ? {} : { ca: await readSecret(`${option}.ca`, ca) }),
    ...(certificate === undefined
      ? {}
      : { cert: await readSecret(`${option}.certificate`, certificate) }),
    ...(key === undefined ? {} : { key: await readSecret(`${option}.key`, key) }),
  };
  // Node takes a text without certificates for no authority at all, and then trusts nobody.
  if (resolved.ca?.includes('-----BEGIN') === false) throw notPem(`${option}.ca`);
  try {
    createSecureContext(resolved);
  } catch (error) {
    throw notPem(option, error);
  }
  return { ...resolved, ...(serverName === undefined ? {} : { servername: serverName }) };
}

/** The reason out of OpenSSL's words, which name its own files and end with a line break. */
export function tlsReason(message: string): string {
  return /routines:[^:]*:([^:]+):/.exec(message)?.[1] ?? message;
}

function notPem(option: string, cause?: unknown): MillraceError {
  const reason = cause instanceof Error ? ` (${tlsReason(cause.message)})` : '';
  return new MillraceError(
    'PARAM_INVALID',
    `${option} holds what is no certificate or key in PEM, or they don't go together${reason}; correct the file or variable`,
    { cause },
  );
}
