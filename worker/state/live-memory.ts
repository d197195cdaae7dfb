/**
 * The memory that live objects of one slot take, over all of its operators, as they estimate it. Who
 * needs room asks here, and the operator that has most gives some up. It must never know what for.
 */

/** The live objects of one operator. */
export interface LiveShare {
  readonly bytes: number;
  /** Gives up about as much as is too much, in a bounded piece of work; nothing while it can't. */
  evict(): void;
}

export class LiveMemory {
  /** Records whose keys were in memory by then or new; the counts are for metrics. */
  hits = 0;
  /** Keys that were brought in. */
  misses = 0;
  /** Keys that left. */
  evictions = 0;
  readonly #shares = new Set<LiveShare>();
  #used = 0;

  /** @param bytesMax may be exceeded for a while, and by what can't be given up */
  constructor(readonly bytesMax: number) {}

  get usedBytes(): number {
    return this.#used;
  }

  get isShort(): boolean {
    return this.#used > this.bytesMax;
  }

  join(share: LiveShare): void {
    this.#shares.add(share);
  }

  leave(share: LiveShare): void {
    this.#shares.delete(share);
    this.#used -= share.bytes;
  }

  count(bytes: number): void {
    this.#used += bytes;
  }

  /** Makes room, if room is short. */
  relieve(): void {
    if (this.#used <= this.bytesMax) return;
    let largest: LiveShare | undefined;
    for (const share of this.#shares) {
      if (largest === undefined || share.bytes > largest.bytes) largest = share;
    }
    largest?.evict();
  }
}
