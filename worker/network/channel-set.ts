/**
 * A set of the channels of one gate or writer, by position: a bit each, so that a task with hundreds of channels
 * finds the few that need something without asking all of them. It knows nothing of what the positions stand for.
 */

const WORD_BITS = 32;

export interface ReadonlyChannelSet {
  /** How many channels there are, in the set or not. */
  readonly channelCount: number;
  readonly size: number;
  has(position: number): boolean;
  /** A copy that also holds `position`. */
  with(position: number): ReadonlyChannelSet;
}

export class ChannelSet implements ReadonlyChannelSet {
  readonly channelCount: number;
  readonly #words: number[];
  #size: number;

  /** @param from what it holds at first; nothing unless given */
  constructor(channelCount: number, from?: ChannelSet) {
    this.channelCount = channelCount;
    this.#words =
      from === undefined
        ? new Array<number>(Math.ceil(channelCount / WORD_BITS)).fill(0)
        : from.#words.slice();
    this.#size = from?.size ?? 0;
  }

  get size(): number {
    return this.#size;
  }

  has(position: number): boolean {
    return ((this.#words[position >>> 5] ?? 0) & (1 << (position & 31))) !== 0;
  }

  add(position: number): void {
    const word = this.#words[position >>> 5] ?? 0;
    const added = word | (1 << (position & 31));
    if (added === word) return;
    this.#words[position >>> 5] = added;
    this.#size++;
  }

  delete(position: number): void {
    const word = this.#words[position >>> 5] ?? 0;
    const left = word & ~(1 << (position & 31));
    if (left === word) return;
    this.#words[position >>> 5] = left;
    this.#size--;
  }

  with(position: number): ChannelSet {
    const copy = new ChannelSet(this.channelCount, this);
    copy.add(position);
    return copy;
  }

  /** The first position of the set from `start` on, beginning anew behind the last; -1 when the set is empty. */
  nextFrom(start: number): number {
    if (this.#size === 0) return -1;
    const words = this.#words;
    let at = start >>> 5;
    // None beyond the last word, when the last position is behind.
    let word = (words[at] ?? 0) & (-1 << (start & 31));
    while (word === 0) {
      at = at + 1 < words.length ? at + 1 : 0;
      word = words[at] ?? 0;
    }
    return at * WORD_BITS + 31 - Math.clz32(word & -word);
  }
}
