/**
 * The keys of a batch of records and their entries, found together and then taken one by one (journey
 * of a record: operator chain -> keyed state). Whatever changes meanwhile, it must never give an entry
 * that is not the key's.
 */
import { keyHash, type Key } from '../../core/key-codec.js';
import type { KeyEntry } from './key-entry.js';
import type { KeyIndex } from './key-index.js';

export class KeyBatch {
  readonly #index: KeyIndex;
  #keys: readonly Key[] = [];
  #hashes = new Int32Array(0);
  readonly #entries: (KeyEntry | undefined)[] = [];
  /** Of the next key. */
  #next = 0;
  #count = 0;

  constructor(index: KeyIndex) {
    this.#index = index;
  }

  /**
   * @param keys in the order in which `next` will be called; left alone by the caller from then on
   * @returns their entries, as far as they have one, to which others may be added before `next`; none
   *   where the keys are no text
   */
  lookUp(keys: readonly Key[]): (KeyEntry | undefined)[] {
    this.#keys = keys;
    this.#next = 0;
    this.#count = 0;
    if (this.#hashes.length < keys.length) this.#hashes = new Int32Array(keys.length);
    const hashes = this.#hashes;
    for (let i = 0; i < keys.length; i++) {
      const key = keys[i];
      // Others are rare, and finding them is not what takes time.
      if (typeof key !== 'string') return [];
      hashes[i] = keyHash(key);
    }
    const entries = this.#entries;
    entries.length = keys.length;
    this.#index.findFirst(hashes, keys.length, entries);
    // Those that turn out to be of other keys are left to a search.
    for (let i = 0; i < keys.length; i++) {
      if (entries[i]?.identity !== keys[i]) entries[i] = undefined;
    }
    this.#count = keys.length;
    return entries;
  }

  /** The entry of a key, if it is the next one and was in memory when all were looked up. */
  next(key: Key): KeyEntry | undefined {
    if (this.#next >= this.#count || this.#keys[this.#next] !== key) return undefined;
    const entry = this.#entries[this.#next++];
    return entry !== undefined && entry.position >= 0 ? entry : undefined;
  }
}
