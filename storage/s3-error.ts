/**
 * What an S3 server, or the way to it, said, in words a user can act on. Stands under everything in
 * this room that speaks S3; must never hide the server's own code, and must never show what a request
 * was signed with.
 */
import { isMillraceError, MillraceError } from '../core/errors.js';

const CREDENTIALS =
  'check the credentials (AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, profile or role) of this process';
const PERMISSIONS =
  'grant the credentials what docs/checkpoints-on-s3.md lists for this bucket and prefix';
const REACH = 'check the endpoint, the network and that the server runs';
const REGION = "give the bucket's region: s3://BUCKET/PREFIX?region=NAME or AWS_REGION";
const LATER = 'the service is overloaded or limits this account; take checkpoints less often';
const TRUST = "set NODE_EXTRA_CA_CERTS to the file of the server's certificate authority";
const ENDPOINT = 'check that the endpoint is that of an S3 API, with the right scheme and port';
const DAMAGE = 'something on the way changes data: check the network and any proxy';
const FEATURES =
  'use a server with conditional writes, SHA-256 checksums, multipart uploads and list version 2';
const SPACE = 'free some space or raise the quota';

const MEANINGS: Readonly<Record<string, readonly [what: string, remedy: string]>> = {
  NoSuchBucket: ['there is no such bucket', 'create the bucket or correct its name'],
  InvalidBucketName: ['this can be no bucket', 'correct the name of the bucket'],
  AccessDenied: ['access denied', PERMISSIONS],
  Forbidden: ['access denied', PERMISSIONS],
  InvalidAccessKeyId: ['the access key is not known there', CREDENTIALS],
  XAdminUserNotFound: ['the access key is not known there', CREDENTIALS],
  SignatureDoesNotMatch: ['the secret key is wrong', CREDENTIALS],
  CredentialsProviderError: ['no credentials were found', CREDENTIALS],
  ExpiredToken: ['the session token has expired', CREDENTIALS],
  InvalidToken: ['the session token is not valid', CREDENTIALS],
  PermanentRedirect: ['the bucket is in another region', REGION],
  AuthorizationHeaderMalformed: ['the bucket is in another region', REGION],
  RegionMissing: ['no region was found', REGION],
  RequestTimeTooSkewed: [
    "this machine's clock is too far from the server's",
    'set the clock, best by NTP',
  ],
  SlowDown: ['too many requests', LATER],
  InternalError: ['the service failed', 'look at its state, and try again'],
  ServiceUnavailable: ['the service is not available', LATER],
  ENOTFOUND: ['its host name is not known', REACH],
  EAI_AGAIN: ['its host name could not be looked up', REACH],
  ECONNREFUSED: ['nothing listens there', REACH],
  ECONNRESET: ['the connection was cut', REACH],
  EPIPE: ['the connection was cut', REACH],
  EHOSTUNREACH: ['there is no way to it', REACH],
  ENETUNREACH: ['there is no way to it', REACH],
  TimeoutError: ['no answer in time', REACH],
  EPROTO: ['what answers does not speak TLS', ENDPOINT],
  CERT_HAS_EXPIRED: ["the server's certificate has expired", 'renew it'],
  SELF_SIGNED_CERT_IN_CHAIN: ["the server's certificate is not trusted here", TRUST],
  DEPTH_ZERO_SELF_SIGNED_CERT: ["the server's certificate is not trusted here", TRUST],
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: ["the server's certificate is not trusted here", TRUST],
  BadDigest: ['what arrived there is not what was sent', DAMAGE],
  InvalidDigest: ['what arrived there is not what was sent', DAMAGE],
  XAmzContentSHA256Mismatch: ['what arrived there is not what was sent', DAMAGE],
  IncompleteBody: ['what arrived there is not what was sent', DAMAGE],
  NoSuchUpload: [
    'the upload was ended by another',
    'give each cluster a bucket or a prefix of its own',
  ],
  ConditionalRequestConflict: ['another writes or deletes the same key', 'try again'],
  TooManyParts: [
    'the file is too large for S3',
    'let the job run at a higher parallelism, so that each file gets smaller',
  ],
  NotImplemented: ['the server does not know this request', FEATURES],
  MethodNotAllowed: ['the server does not know this request', FEATURES],
  InsufficientStorage: ['no space is left there', SPACE],
  QuotaExceeded: ['no space is left there', SPACE],
  XMinioStorageFull: ['no space is left there', SPACE],
};

/** An answer to HEAD has no body, and so no code. */
const CODES_BY_STATUS: Readonly<Record<number, string>> = {
  301: 'PermanentRedirect',
  403: 'AccessDenied',
  500: 'InternalError',
  503: 'ServiceUnavailable',
};

/** What is known of an error that the SDK threw, whatever its class. */
interface Reported {
  /** Of S3 (`NoSuchKey`), of Node (`ECONNREFUSED`), or the error's class. */
  readonly code: string;
  readonly message: string;
  readonly status: number | undefined;
  readonly requestId: string | undefined;
}

/** Whether S3 refused with this code, such as NoSuchKey. */
export function isS3Error(error: unknown, ...codes: readonly string[]): boolean {
  return error instanceof Error && codes.includes(error.name);
}

/** An error with a code, as the SDK's have one. */
export function s3Error(code: string, message: string): Error {
  const error = new Error(message);
  error.name = code;
  return error;
}

/** For an answer that lacks what every S3 server gives: some page, which reads like an empty answer. */
export function notOfS3(): Error {
  return new Error('the answer is not that of an S3 API');
}

/**
 * A MillraceError STORAGE_UNAVAILABLE that names the place, the reason and the remedy.
 * @param place bucket, key and endpoint, as the user can find them
 * @param what the request in words, such as `be read`
 */
export function describeS3Error(error: unknown, place: string, what: string): MillraceError {
  if (isMillraceError(error)) return error;
  const { code, message, status, requestId } = report(error);
  const [meaning, remedy] = MEANINGS[code] ??
    MEANINGS[CODES_BY_STATUS[status ?? 0] ?? ''] ?? [message, ENDPOINT];
  const details = [
    ...(code === 'Error' ? [] : [code]),
    ...(status === undefined ? [] : [`HTTP ${status}`]),
    ...(requestId === undefined ? [] : [`request ${requestId}`]),
  ];
  const shown = details.length === 0 ? '' : ` (${details.join(', ')})`;
  return new MillraceError(
    'STORAGE_UNAVAILABLE',
    `${place}: could not ${what}: ${meaning}${shown}; ${remedy}`,
  );
}

function report(error: unknown): Reported {
  if (!(error instanceof Error)) {
    return {
      code: 'unknown error',
      message: String(error),
      status: undefined,
      requestId: undefined,
    };
  }
  const { code, $metadata } = error as Error & {
    readonly code?: unknown;
    readonly $metadata?: { readonly httpStatusCode?: number; readonly requestId?: string };
  };
  return {
    code: codeOf(error, typeof code === 'string' ? code : undefined),
    // One line: a page of HTML that some proxy answered has many.
    message: error.message.split('\n', 1)[0]?.slice(0, 200) ?? '',
    status: $metadata?.httpStatusCode,
    requestId: $metadata?.requestId,
  };
}

function codeOf(error: Error, code: string | undefined): string {
  // The SDK says this by its text alone.
  if (error.message === 'Region is missing') return 'RegionMissing';
  if (code !== undefined && code in MEANINGS) return code;
  // Node's errors all have the class Error, and tell more by their code.
  return error.name === 'Error' && code !== undefined ? code : error.name;
}
