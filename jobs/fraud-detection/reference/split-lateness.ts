/**
 * Which records are late, told from the file alone. The job reads the file in splits of a fixed
 * number of bytes, each with a watermark of its own; so lateness is a matter of what stands before
 * a record in its split, and never of how the splits were spread over the cluster.
 */

/** Whoever reads a split first looks at the records in this many bytes before it. */
export const LOOK_BACK_BYTES = 65_536;

export class SplitLateness {
  readonly #splitBytes: number;
  readonly #maxOutOfOrdernessMs: number;
  /** Records that the next split will look back at, in file order. */
  #recent: { readonly position: number; readonly timestamp: number }[] = [];
  #split = 0;
  #maxTimestamp = -Infinity;

  constructor(splitBytes: number, maxOutOfOrdernessMs: number) {
    this.#splitBytes = splitBytes;
    this.#maxOutOfOrdernessMs = maxOutOfOrdernessMs;
  }

  /**
   * Whether a record is at or behind the watermark of its split. To be called for every good record
   * of the file, in file order.
   * @param position of the first byte of the record's line
   */
  isLate(position: number, timestamp: number): boolean {
    const split = Math.floor(position / this.#splitBytes);
    if (split !== this.#split) this.#enter(split);
    const late = timestamp <= this.#maxTimestamp - this.#maxOutOfOrdernessMs - 1;
    this.#maxTimestamp = Math.max(this.#maxTimestamp, timestamp);
    this.#remember(position, timestamp);
    return late;
  }

  #enter(split: number): void {
    const start = split * this.#splitBytes;
    this.#split = split;
    this.#maxTimestamp = -Infinity;
    for (const { position, timestamp } of this.#recent) {
      if (position >= start - LOOK_BACK_BYTES && position < start) {
        this.#maxTimestamp = Math.max(this.#maxTimestamp, timestamp);
      }
    }
    this.#recent = this.#recent.filter(({ position }) => position >= start - LOOK_BACK_BYTES);
  }

  /** Only what the next split can look back at is kept. */
  #remember(position: number, timestamp: number): void {
    const nextStart = (this.#split + 1) * this.#splitBytes;
    if (position >= nextStart - LOOK_BACK_BYTES) this.#recent.push({ position, timestamp });
  }
}
