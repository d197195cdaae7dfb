/**
 * What can go wrong between us and a schema registry, in words that name its URL and what it was asked for,
 * and end with the remedy. Never quotes an answer to a login, which may hold it.
 */
import { MillraceError, type ErrorCode } from '../../core/errors.js';
import { tlsReason } from '../tls.js';
import type { RegistryAnswer } from './registry-request.js';

/** What was asked, and as whom. */
export interface RegistryPlace {
  readonly url: string;
  /** Such as `subject orders-value`. */
  readonly about: string;
  readonly hasLogin: boolean;
}

export class RegistryError extends MillraceError {
  /** Whether the same request may succeed later. */
  readonly retriable: boolean;

  constructor(
    code: ErrorCode,
    message: string,
    { retriable, cause }: { readonly retriable: boolean; readonly cause?: unknown },
  ) {
    super(code, message, { cause });
    this.retriable = retriable;
  }
}

const REASON_LENGTH_MAX = 1000;
const PAGE_LENGTH_MAX = 200;
const CORRECT_URL = 'correct registry.url: its protocol, port and path';

/** A registry that could not be asked. */
export function unreachable(place: RegistryPlace, cause: unknown): RegistryError {
  const { code, message } = describe(cause);
  const failed = (text: string, retriable = true): RegistryError =>
    new RegistryError('REGISTRY_UNREACHABLE', `${asked(place)} ${text}`, { retriable, cause });
  if (/_ALERT_/.test(code)) {
    return failed(
      `refused the TLS connection (${message}); give what it asks for as registry.tls.certificate and key`,
      false,
    );
  }
  if (/EPROTO|ERR_SSL|wrong version number|packet length/i.test(`${code} ${message}`)) {
    return failed(
      `does not speak TLS on this port (${message}); correct the port, or begin registry.url with http://`,
      false,
    );
  }
  if (/CERT|SIGNED|ISSUER/.test(code) || /certificate/i.test(message)) {
    return failed(
      `has a certificate that is not trusted (${message}); give the authority as registry.tls.ca, ` +
        'or the name on the certificate as registry.tls.serverName',
      false,
    );
  }
  if (/ENOTFOUND|EAI_AGAIN/.test(code)) {
    return failed(`has no such host (${code}); correct registry.url`);
  }
  if (code === 'ECONNREFUSED') {
    return failed(`does not listen there (${code}); start it, or correct registry.url`);
  }
  if (code.startsWith('HPE_')) {
    return failed(`does not speak HTTP on this port (${message}); ${expectsTls(place)}`, false);
  }
  if (code === 'ECONNRESET') {
    return failed(`closed the connection without an answer (${message}); ${expectsTls(place)}`);
  }
  return failed(`can't be reached (${message}); check the network, and registry.url`);
}

/** A registry that is silent. */
export function silent(place: RegistryPlace, timeoutMs: number, cause: unknown): RegistryError {
  return new RegistryError(
    'REGISTRY_UNREACHABLE',
    `${asked(place)} gave no answer in ${String(timeoutMs)} ms; see its log, or raise registry.timeoutMs`,
    { retriable: true, cause },
  );
}

/** A login that is not let in, or may not do this. */
export function denied(place: RegistryPlace, status: number): RegistryError {
  const who = place.hasLogin ? 'the login is not let in' : 'nobody logged in';
  const text =
    status === 403 && place.hasLogin
      ? 'the user may not do this; give the user the right, or correct registry.auth'
      : `${who}; correct registry.auth`;
  return new RegistryError('ACCESS_DENIED', `${asked(place)} answered ${String(status)}: ${text}`, {
    retriable: false,
  });
}

/** An answer as no registry gives it. @param what it lacks, or says */
export function unexpected(
  place: RegistryPlace,
  { status, contentType, location, text }: RegistryAnswer,
  what?: string,
): RegistryError {
  const isServers = status >= 500 || status === 429;
  const page = text.replace(/<[^>]*>/g, ' ').replace(/\s+/g, ' ');
  const found = what ?? `${contentType}, "${clip(page.trim(), PAGE_LENGTH_MAX)}"`;
  const to = location === undefined ? '' : `, which leads to ${location}`;
  return new RegistryError(
    'REGISTRY_UNREACHABLE',
    `${asked(place)} answered ${String(status)} (${found})${to}; ` +
      (isServers ? 'see its log, and that of what stands before it' : CORRECT_URL),
    { retriable: isServers },
  );
}

export function clip(text: string, lengthMax = REASON_LENGTH_MAX): string {
  return text.length <= lengthMax ? text : `${text.slice(0, lengthMax)}...`;
}

function asked({ url, about }: RegistryPlace): string {
  return `the schema registry ${url}, asked for ${about},`;
}

function expectsTls({ url }: RegistryPlace): string {
  return url.startsWith('https:')
    ? 'correct the port, or see its log'
    : 'correct the port, or begin registry.url with https:// if it expects TLS';
}

function describe(cause: unknown): { readonly code: string; readonly message: string } {
  if (!(cause instanceof Error)) return { code: '', message: String(cause) };
  const code = 'code' in cause && typeof cause.code === 'string' ? cause.code : '';
  // A host of several addresses fails with an empty message.
  return { code, message: tlsReason(cause.message) || code };
}
