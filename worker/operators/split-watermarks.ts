/**
 * Watermarks of a source, kept per split: a split's watermark follows its greatest timestamp, the
 * source's is the minimum over the splits that are assigned and not idle, and never goes back.
 * Whether a record is late depends on its own split alone; and since a split that waits for its turn
 * holds the source's watermark too, none that is on time there is behind the source's watermark.
 */

interface SplitWatermark {
  maxTimestamp: number;
  /** Infinity while it waits for its turn. */
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

  /** A split was assigned. @param maxTimestamp the greatest it had seen when it was restored */
  add(splitId: string, maxTimestamp = -Infinity): void {
    this.#splits.set(splitId, { maxTimestamp, lastRecordMs: this.#monotonic(), idle: false });
  }

  select(splitId: string): void {
    if (splitId === this.#selectedId) return;
    if (!this.#splits.has(splitId)) this.add(splitId);
    this.#selected = this.#splits.get(splitId);
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

  /** The selected split waits for its turn. */
  pause(): void {
    if (this.#selected !== undefined) this.#selected.lastRecordMs = Infinity;
    this.#deselect();
  }

  finish(): void {
    if (this.#selectedId !== undefined) this.#splits.delete(this.#selectedId);
    this.#deselect();
  }

  maxTimestampOf(splitId: string): number {
    return this.#splits.get(splitId)?.maxTimestamp ?? -Infinity;
  }

  /**
   * The source's watermark, and whether every split is idle or there has long been none.
   * @param asOfMs monotonic time up to which silence means that there was nothing to read
   */
  advance(asOfMs: number): { readonly watermark: number; readonly idle: boolean } {
    let least = Infinity;
    let active = 0;
    for (const split of this.#splits.values()) {
      if (asOfMs - split.lastRecordMs >= this.#idleTimeoutMs) split.idle = true;
      if (split.idle) continue;
      active++;
      least = Math.min(least, split.maxTimestamp - this.#maxOutOfOrdernessMs - 1);
    }
    if (active > 0 && least > this.#current) this.#current = least;
    const silent = this.#splits.size > 0 || asOfMs - this.#lastRecordMs >= this.#idleTimeoutMs;
    return { watermark: this.#current, idle: active === 0 && silent };
  }

  #deselect(): void {
    this.#selected = undefined;
    this.#selectedId = undefined;
  }
}
