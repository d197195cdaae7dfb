/** Error code -> HTTP status, in one place. */
import type { ErrorCode, MillraceError } from '../core/errors.js';

const STATUS_BY_CODE: Partial<Record<ErrorCode, number>> = {
  BUNDLE_TOO_LARGE: 413,
  CHECKPOINT_NOT_FOUND: 404,
  JOB_NOT_FOUND: 404,
  JOB_STATE_CONFLICT: 409,
  STORAGE_CONFLICT: 409,
};

const STATUS_BY_DOMAIN = { user: 400, external: 503, internal: 500 } as const;

export function httpStatusOf(error: MillraceError): number {
  return STATUS_BY_CODE[error.code] ?? STATUS_BY_DOMAIN[error.domain];
}
