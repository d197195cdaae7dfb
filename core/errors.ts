/**
 * The one error class of Millrace. Everything that fails for a known reason fails with a
 * MillraceError: a closed code, who must act (domain), and whether trying again can help (retry).
 * Errors cross threads, bundles and the wire, where `instanceof` fails, so they are recognised by a
 * brand. This file must never import anything.
 */

const BRAND = Symbol.for('millrace.error');

/** Who must act: the job's author, something outside Millrace, or a Millrace developer. */
export type ErrorDomain = 'user' | 'external' | 'internal';

/** Whether trying again can help: never, after a pause, or by restarting the job. */
export type ErrorRetry = 'never' | 'backoff' | 'restart';

/** The closed set of codes, each with its domain and retry hint. */
export const ERROR_CODES = {
  // Job authoring and submission.
  JOB_INVALID: ['user', 'never'],
  OPERATOR_NAME_DUPLICATE: ['user', 'never'],
  OPERATOR_NAME_INVALID: ['user', 'never'],
  PARAM_INVALID: ['user', 'never'],
  SCHEMA_INVALID: ['user', 'never'],
  SCHEMA_MISMATCH: ['user', 'restart'],
  USER_CODE_FAILED: ['user', 'restart'],
  SCORE_FAILED: ['user', 'restart'],
  SCORE_TIMEOUT: ['user', 'restart'],
  BUNDLE_INVALID: ['user', 'never'],
  BUNDLE_TOO_LARGE: ['user', 'never'],
  BUNDLE_CORRUPT: ['external', 'backoff'],
  USAGE: ['user', 'never'],
  INPUT_INVALID: ['user', 'never'],
  INPUT_MISSING: ['user', 'never'],
  // State, checkpoints and storage.
  STATE_INVALID: ['user', 'never'],
  STATE_NOT_RESTORABLE: ['user', 'never'],
  CHECKPOINT_NOT_FOUND: ['user', 'never'],
  CHECKPOINT_CORRUPT: ['external', 'never'],
  CHECKPOINT_FAILED: ['external', 'backoff'],
  CHECKPOINT_TIMEOUT: ['external', 'backoff'],
  KEY_GROUP_RANGE: ['internal', 'never'],
  STORAGE_UNAVAILABLE: ['external', 'backoff'],
  STORAGE_CONFLICT: ['external', 'never'],
  STORAGE_CORRUPT: ['external', 'never'],
  STORAGE_LOCKED: ['user', 'never'],
  BLOB_NOT_FOUND: ['external', 'never'],
  OUTPUT_FAILED: ['external', 'restart'],
  OUTPUT_CONFLICT: ['user', 'never'],
  OUTPUT_LOST: ['external', 'never'],
  // Message brokers.
  BROKER_UNREACHABLE: ['external', 'restart'],
  BROKER_REFUSED: ['external', 'restart'],
  ACCESS_DENIED: ['user', 'never'],
  TOPIC_MISSING: ['user', 'never'],
  // Schema registries.
  REGISTRY_UNREACHABLE: ['external', 'restart'],
  SCHEMA_INCOMPATIBLE: ['user', 'never'],
  // Cluster.
  CLUSTER_UNREACHABLE: ['external', 'backoff'],
  PORT_IN_USE: ['user', 'never'],
  VERSION_MISMATCH: ['user', 'never'],
  WORKER_LOST: ['external', 'restart'],
  EXCHANGE_BROKEN: ['external', 'restart'],
  NOT_ENOUGH_SLOTS: ['external', 'never'],
  JOB_NOT_FOUND: ['user', 'never'],
  JOB_STATE_CONFLICT: ['user', 'never'],
  STALE_EPOCH: ['internal', 'never'],
  CANCELED: ['user', 'never'],
  WIRE_CORRUPT: ['external', 'restart'],
  INTERNAL: ['internal', 'restart'],
} as const satisfies Record<string, readonly [ErrorDomain, ErrorRetry]>;

export type ErrorCode = keyof typeof ERROR_CODES;

/** Where in a job something failed; only the parts that are known. */
export interface ErrorLocation {
  readonly operator?: string;
  readonly subtask?: number;
  readonly worker?: string;
  readonly record?: string;
}

/** A plain-object form that survives threads and the wire. */
export interface SerializedError {
  readonly code: ErrorCode;
  readonly message: string;
  readonly location?: ErrorLocation;
  readonly stack?: string;
}

/**
 * An error with a code. `message` begins with the code and ends with what the reader can do.
 * `userStack` is a stack trace of user code where there is one; our own stack is for developers only.
 */
export class MillraceError extends Error {
  readonly [BRAND] = true;
  readonly code: ErrorCode;
  readonly location: ErrorLocation | undefined;

  constructor(
    code: ErrorCode,
    message: string,
    options: { cause?: unknown; location?: ErrorLocation } = {},
  ) {
    super(
      message.startsWith(`${code}: `) ? message : `${code}: ${message}`,
      'cause' in options ? { cause: options.cause } : undefined,
    );
    this.name = 'MillraceError';
    this.code = code;
    this.location = options.location;
  }

  get domain(): ErrorDomain {
    return ERROR_CODES[this.code][0];
  }

  get retry(): ErrorRetry {
    return ERROR_CODES[this.code][1];
  }
}

/** Recognises a MillraceError from any thread, bundle or copy of this module. */
export function isMillraceError(value: unknown): value is MillraceError {
  return typeof value === 'object' && value !== null && BRAND in value;
}

/** The error as a MillraceError; anything else becomes one with `code` and the original as cause. */
export function toMillraceError(value: unknown, code: ErrorCode = 'INTERNAL'): MillraceError {
  if (isMillraceError(value)) return value;
  const message = value instanceof Error ? value.message : String(value);
  return new MillraceError(code, message, { cause: value });
}

/** A copy of `error` that says where in the job it happened; parts already known are kept. */
export function locateError(error: MillraceError, location: ErrorLocation): MillraceError {
  const located = new MillraceError(error.code, error.message, {
    cause: error.cause,
    location: { ...location, ...error.location },
  });
  if (error.stack !== undefined) located.stack = error.stack;
  return located;
}

export function serializeError(value: unknown): SerializedError {
  const error = toMillraceError(value);
  const cause = error.cause;
  const stack = cause instanceof Error ? cause.stack : error.stack;
  return {
    code: error.code,
    message: error.message,
    ...(error.location === undefined ? {} : { location: error.location }),
    ...(stack === undefined ? {} : { stack }),
  };
}

export function deserializeError(serialized: SerializedError): MillraceError {
  const error = new MillraceError(
    serialized.code in ERROR_CODES ? serialized.code : 'INTERNAL',
    serialized.message,
    serialized.location === undefined ? {} : { location: serialized.location },
  );
  if (serialized.stack !== undefined) error.stack = serialized.stack;
  return error;
}

/** States an invariant of ours. A failure is a bug: it fails the task and is never caught as an ordinary error. */
export function invariant(condition: unknown, message: string): asserts condition {
  if (!condition) throw new MillraceError('INTERNAL', `broken invariant: ${message}`);
}

/** Marks a branch that the types rule out. */
export function assertNever(value: never): never {
  throw new MillraceError('INTERNAL', `unexpected value ${JSON.stringify(value)}`);
}
