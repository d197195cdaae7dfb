/**
 * Error code -> gRPC status, in one place. The status tells generic tools what kind of failure it
 * was; the code itself travels in the details, before the first colon of the message.
 */
import { status } from '@grpc/grpc-js';
import { toMillraceError, type ErrorCode } from '../core/errors.js';

const STATUS_BY_CODE: Partial<Record<ErrorCode, status>> = {
  BUNDLE_TOO_LARGE: status.RESOURCE_EXHAUSTED,
  CANCELED: status.CANCELLED,
  CHECKPOINT_NOT_FOUND: status.NOT_FOUND,
  JOB_NOT_FOUND: status.NOT_FOUND,
  JOB_STATE_CONFLICT: status.FAILED_PRECONDITION,
  NOT_ENOUGH_SLOTS: status.RESOURCE_EXHAUSTED,
  STALE_EPOCH: status.FAILED_PRECONDITION,
  STORAGE_CORRUPT: status.DATA_LOSS,
  STORAGE_UNAVAILABLE: status.UNAVAILABLE,
  VERSION_MISMATCH: status.FAILED_PRECONDITION,
  WIRE_CORRUPT: status.DATA_LOSS,
};

const STATUS_BY_DOMAIN = {
  user: status.INVALID_ARGUMENT,
  external: status.UNAVAILABLE,
  internal: status.INTERNAL,
} as const;

export interface StatusDetails {
  readonly code: status;
  readonly details: string;
}

/** What a server ends a call with. */
export function errorToStatus(value: unknown): StatusDetails {
  const error = toMillraceError(value);
  return {
    code: STATUS_BY_CODE[error.code] ?? STATUS_BY_DOMAIN[error.domain],
    details: error.message,
  };
}
