/**
 * Says for most keys that are not in the database that they are not, so that a new key costs no read:
 * a blocked Bloom filter that grows by layers, each four times the one before. It knows keys by a
 * 32-bit hash, never denies one that was added, and can't forget: who deletes many keys makes a new one.
 */

/** 12 bits and 6 probes a key: about 0.5% of absent keys pass each full layer. */
const BITS_PER_KEY = 12;
/** All probes of a key lie in one block of 512 bits, which is one line of the processor's cache. */
const BLOCK_WORDS = 16;
const WORDS_FIRST = 16 * BLOCK_WORDS;
const GROWTH = 4;
const MIX_A = 0x9e3779b1;
const MIX_B = 0x85ebca6b;
const MIX_BLOCK = 0xc2b2ae35;

/** Memory of all filters of a slot. */
export class FilterBudget {
  #left: number;

  constructor(bytesMax: number) {
    this.#left = bytesMax;
  }

  get leftBytes(): number {
    return this.#left;
  }

  claim(bytes: number): boolean {
    if (bytes > this.#left) return false;
    this.#left -= bytes;
    return true;
  }

  release(bytes: number): void {
    this.#left += bytes;
  }
}

class Layer {
  readonly words: Uint32Array;
  readonly capacity: number;
  count = 0;

  constructor(words: number) {
    this.words = new Uint32Array(words);
    this.capacity = Math.floor((words * 32) / BITS_PER_KEY);
  }
}

export class KeyFilter {
  readonly #budget: FilterBudget;
  #layers: Layer[] = [];
  #count = 0;
  /** A key could not be noted for want of memory: any key may be there. */
  #blind = false;

  constructor(budget: FilterBudget) {
    this.#budget = budget;
  }

  /** Keys added, but for those that seemed to be there already. */
  get count(): number {
    return this.#count;
  }

  /** Whether it has forgone knowing for want of memory. */
  get blind(): boolean {
    return this.#blind;
  }

  add(hash: number): void {
    if (this.mayHave(hash)) return;
    const layer = this.#roomyLayer();
    if (layer === undefined) {
      this.#blind = true;
      return;
    }
    layer.count++;
    this.#count++;
    const { words } = layer;
    const block = blockOf(hash, words);
    const a = Math.imul(hash ^ (hash >>> 15), MIX_A);
    const b = Math.imul(hash ^ (hash >>> 13), MIX_B);
    for (let shift = 5; shift < 32; shift += 9) {
      set(words, block, a >>> shift);
      set(words, block, b >>> shift);
    }
  }

  /** False only for a key that was never added. */
  mayHave(hash: number): boolean {
    if (this.#blind) return true;
    const a = Math.imul(hash ^ (hash >>> 15), MIX_A);
    const b = Math.imul(hash ^ (hash >>> 13), MIX_B);
    return this.#layers.some(({ words }) => {
      const block = blockOf(hash, words);
      for (let shift = 5; shift < 32; shift += 9) {
        if (!has(words, block, a >>> shift) || !has(words, block, b >>> shift)) return false;
      }
      return true;
    });
  }

  /** Gives its memory back; nothing is in it any more. */
  clear(): void {
    for (const { words } of this.#layers) this.#budget.release(words.byteLength);
    this.#layers = [];
    this.#count = 0;
    this.#blind = false;
  }

  /** The layer that takes new keys: a full one where the budget has no room for another. */
  #roomyLayer(): Layer | undefined {
    const last = this.#layers.at(-1);
    if (last !== undefined && last.count < last.capacity) return last;
    const words = last === undefined ? WORDS_FIRST : last.words.length * GROWTH;
    if (!this.#budget.claim(words * Uint32Array.BYTES_PER_ELEMENT)) return last;
    const layer = new Layer(words);
    this.#layers.push(layer);
    return layer;
  }
}

/** Index of the first word of a key's block; the number of blocks is a power of two. */
function blockOf(hash: number, words: Uint32Array): number {
  const spread = Math.imul(hash, MIX_BLOCK);
  return ((spread ^ (spread >>> 16)) * BLOCK_WORDS) & (words.length - 1);
}

function set(words: Uint32Array, block: number, bit: number): void {
  const index = block + ((bit >>> 5) & (BLOCK_WORDS - 1));
  words[index] = (words[index] ?? 0) | (1 << (bit & 31));
}

function has(words: Uint32Array, block: number, bit: number): boolean {
  const word = words[block + ((bit >>> 5) & (BLOCK_WORDS - 1))] ?? 0;
  return (word & (1 << (bit & 31))) !== 0;
}
