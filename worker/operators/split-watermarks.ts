/**
 * Watermarks of a source, kept per split: a split's watermark follows its greatest timestamp, the
 * source's is the minimum over the splits that are being read and not idle, and never goes back.
 * Whether a record is late depends on its own split alone.
 */

interface SplitWatermark {
  maxTimestamp: number;
  lastRecordMs: number;
  idle: boolean;
}

export class SplitWatermarks {
  readonly #maxOutOfOrdernessMs: number;
  readonly #idleTimeoutMs: number;
  readonly #monotonic: () => number;
  readonly #splits = new Map<string, SplitWatermark>();
  /** Of any split: a reader that has none is idle after the same time. */
  #lastRecordMs: number;
  #selected: SplitWatermark | undefined;
  #selectedId: string | undefined;
  #current = -Infinity;

  constructor(options: {
    readonly maxOutOfOrdernessMs: number;
    readonly idleTimeoutMs: number | undefined;
    readonly monotonic: () => number;
  }) {
    this.#maxOutOfOrdernessMs = options.maxOutOfOrdernessMs;
    this.#idleTimeoutMs = options.idleTimeoutMs ?? Infinity;
    this.#monotonic = options.monotonic;
    this.#lastRecordMs = options.monotonic();
  }

  /** The source's watermark as of the last `advance`. */
  get current(): number {
    return this.#current;
  }

  /** Time goes on from the least watermark of those who read the restored splits. */
  restoreWatermark(watermark: number): void {
    this.#current = watermark;
  }

  /** Continues a restored split from the greatest timestamp it had seen. */
  restore(splitId: string, maxTimestamp: number): void {
    this.#splits.set(splitId, { maxTimestamp, lastRecordMs: this.#monotonic(), idle: false });
  }

  select(splitId: string): void {
    if (splitId === this.#selectedId) return;
    let split = this.#splits.get(splitId);
    if (split === undefined) {
      split = { maxTimestamp: -Infinity, lastRecordMs: this.#monotonic(), idle: false };
      this.#splits.set(splitId, split);
    }
    this.#selected = split;
    this.#selectedId = splitId;
    // One poll may read several splits, and the caller touches only the one it left off at.
    this.touch();
  }

  /** Counts a record of the selected split; true when it is behind the split's watermark. */
  observe(timestamp: number): boolean {
    const split = this.#selected;
    if (split === undefined) return false;
    if (timestamp > split.maxTimestamp) {
      split.maxTimestamp = timestamp;
      return false;
    }
    return timestamp <= split.maxTimestamp - this.#maxOutOfOrdernessMs - 1;
  }

  /** The reader gave records of the selected split just now. */
  touch(): void {
    if (this.#selected === undefined) return;
    this.#lastRecordMs = this.#monotonic();
    this.#selected.lastRecordMs = this.#lastRecordMs;
    this.#selected.idle = false;
  }

  finish(): void {
    if (this.#selectedId !== undefined) this.#splits.delete(this.#selectedId);
    this.#selected = undefined;
    this.#selectedId = undefined;
  }

  maxTimestampOf(splitId: string): number {
    return this.#splits.get(splitId)?.maxTimestamp ?? -Infinity;
  }

  /** The source's watermark now, and whether every split is idle or there has long been none. */
  advance(): { readonly watermark: number; readonly idle: boolean } {
    const now = this.#monotonic();
    let least = Infinity;
    let active = 0;
    for (const split of this.#splits.values()) {
      if (now - split.lastRecordMs >= this.#idleTimeoutMs) split.idle = true;
      if (split.idle) continue;
      active++;
      least = Math.min(least, split.maxTimestamp - this.#maxOutOfOrdernessMs - 1);
    }
    if (active > 0 && least > this.#current) this.#current = least;
    const silent = this.#splits.size > 0 || now - this.#lastRecordMs >= this.#idleTimeoutMs;
    return { watermark: this.#current, idle: active === 0 && silent };
  }
}
