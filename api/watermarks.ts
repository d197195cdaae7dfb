/**
 * How event time is read from records and how far the watermark stays behind it. Watermarks are made
 * per split; an operator's watermark is the minimum over the splits and channels that are not idle.
 */

export interface WatermarkStrategy<T> {
  /** Event time of a record: ms since the epoch. */
  readonly timestamp: (record: T) => number;
  /** How far behind the greatest timestamp of its split a record may come and still be on time; ms. */
  readonly maxOutOfOrdernessMs: number;
  /**
   * A split that stays silent this long (processing time, ms) no longer holds the watermark back. Of no
   * effect on a bounded source, all of which is known to come.
   */
  readonly idleTimeoutMs?: number;
}

/**
 * Watermark = greatest timestamp seen in the split - maxOutOfOrdernessMs - 1. A record at or behind its own
 * split's watermark goes to the source's `late` output: which ones depends on the input alone, never on how
 * splits and subtasks interleave. Every split holds the watermark of its source back from the moment it is
 * assigned, so what is not late at the source is late nowhere behind it.
 */
export function boundedOutOfOrderness<T>(
  timestamp: (record: T) => number,
  maxOutOfOrdernessMs: number,
  options: { readonly idleTimeoutMs?: number } = {},
): WatermarkStrategy<T> {
  return { ...options, timestamp, maxOutOfOrdernessMs };
}
