/** Window assigners as plain data. Event time only: a window [start, end) fires when the watermark reaches end - 1. */
import { MillraceError } from '../core/errors.js';

export interface TumblingWindows {
  readonly sizeMs: number;
  readonly offsetMs: number;
  /** How long after its end a window is kept for records that come late; ms. */
  readonly allowedLatenessMs: number;
}

/**
 * Windows of `sizeMs` that touch and do not overlap, aligned to the epoch plus `offsetMs`.
 * @throws MillraceError JOB_INVALID when a length is not a whole number of ms
 */
export function tumblingWindows(
  sizeMs: number,
  options: { readonly offsetMs?: number; readonly allowedLatenessMs?: number } = {},
): TumblingWindows {
  const { offsetMs = 0, allowedLatenessMs = 0 } = options;
  if (!Number.isSafeInteger(sizeMs) || sizeMs < 1) {
    throw new MillraceError('JOB_INVALID', `window size is ${sizeMs} ms; give 1 or more whole ms`);
  }
  if (!Number.isSafeInteger(offsetMs) || Math.abs(offsetMs) >= sizeMs) {
    throw new MillraceError(
      'JOB_INVALID',
      `window offset is ${offsetMs} ms; give whole ms smaller than the size (${sizeMs})`,
    );
  }
  if (!Number.isSafeInteger(allowedLatenessMs) || allowedLatenessMs < 0) {
    throw new MillraceError(
      'JOB_INVALID',
      `allowed lateness is ${allowedLatenessMs} ms; give 0 or more whole ms`,
    );
  }
  return { sizeMs, offsetMs, allowedLatenessMs };
}
