/**
 * The entries of a key table by key, in order of creation: a hash table of two numbers a key, hash
 * and position, so that a search reads no key but the one it finds. The keys of a batch are looked
 * up in stages, each a loop of reads that don't wait for each other: memory answers a dozen of them
 * in the time of one, which is most of what keyed state costs with many keys. It must never know what
 * an entry holds.
 */
import type { KeyEntry, KeyIdentity } from './key-entry.js';

const CAPACITY_MIN = 16;
/** Fibonacci hashing: all bits of a hash, of which a subtask's key groups fix some, decide the place. */
const SPREAD = 0x9e3779b1;
/** In the place of a position. */
const NONE = -1;
/** Below this many, places of entries that are gone stay. */
const GONE_MAX = 1024;

export class KeyIndex {
  /** Pairs of hash and position, of which at most three quarters are in use. */
  #table = emptyTable(CAPACITY_MIN);
  /** What is left of a spread hash is a place. */
  #shift = shiftOf(CAPACITY_MIN);
  /** In order of creation; undefined where one is gone. */
  #entries: (KeyEntry | undefined)[] = [];
  #size = 0;
  readonly #walks = new Set<EntryWalk>();

  get size(): number {
    return this.#size;
  }

  /** @param hash as the entry has it */
  find(identity: KeyIdentity, hash: number): KeyEntry | undefined {
    const table = this.#table;
    const mask = table.length - 1;
    for (let at = this.#placeOf(hash); ; at = (at + 2) & mask) {
      const position = table[at + 1] ?? NONE;
      if (position === NONE) return undefined;
      if (table[at] !== hash) continue;
      const entry = this.#entries[position];
      if (entry !== undefined && entry.identity === identity) return entry;
    }
  }

  /** For each hash the first entry that has it, whose key may be another. */
  findFirst(hashes: Int32Array, count: number, into: (KeyEntry | undefined)[]): void {
    const table = this.#table;
    const entries = this.#entries;
    const mask = table.length - 1;
    for (let i = 0; i < count; i++) {
      const hash = hashes[i] ?? 0;
      let at = this.#placeOf(hash);
      let position = table[at + 1] ?? NONE;
      while (position !== NONE && table[at] !== hash) {
        at = (at + 2) & mask;
        position = table[at + 1] ?? NONE;
      }
      into[i] = position === NONE ? undefined : entries[position];
    }
  }

  /** @param entry of a key that has none */
  add(entry: KeyEntry): void {
    if (this.#entries.length * 8 >= this.#table.length * 3) this.#rebuild();
    entry.position = this.#entries.length;
    this.#entries.push(entry);
    this.#size++;
    this.#insert(entry.hash, entry.position);
  }

  delete(entry: KeyEntry): void {
    const table = this.#table;
    const mask = table.length - 1;
    let hole = this.#placeOf(entry.hash);
    while (table[hole + 1] !== entry.position) hole = (hole + 2) & mask;
    this.#entries[entry.position] = undefined;
    entry.position = NONE;
    this.#size--;
    // Whoever was put behind the hole for want of a place moves up, so that no search ends before it.
    for (let at = (hole + 2) & mask; table[at + 1] !== NONE; at = (at + 2) & mask) {
      const home = this.#placeOf(table[at] ?? 0);
      if (((at - home) & mask) < ((at - hole) & mask)) continue;
      table[hole] = table[at] ?? 0;
      table[hole + 1] = table[at + 1] ?? NONE;
      hole = at;
    }
    table[hole + 1] = NONE;
    if (this.#entries.length - this.#size > Math.max(GONE_MAX, this.#size)) this.#rebuild();
  }

  /** All entries, in order of creation. */
  all(): readonly KeyEntry[] {
    const entries = this.#entries;
    return this.#size === entries.length
      ? (entries.slice() as KeyEntry[])
      : entries.filter((entry) => entry !== undefined);
  }

  /** Goes through all entries from the first on; those created or deleted meanwhile are met or not met. */
  walk(): IterableIterator<KeyEntry> {
    const walk = new EntryWalk(
      (position) => this.#entryFrom(position),
      () => this.#walks.delete(walk),
    );
    this.#walks.add(walk);
    return walk;
  }

  /** The first entry at or behind a position. */
  #entryFrom(position: number): KeyEntry | undefined {
    const entries = this.#entries;
    while (position < entries.length && entries[position] === undefined) position++;
    return entries[position];
  }

  #placeOf(hash: number): number {
    return (Math.imul(hash, SPREAD) >>> this.#shift) << 1;
  }

  #insert(hash: number, position: number): void {
    const table = this.#table;
    const mask = table.length - 1;
    let at = this.#placeOf(hash);
    while (table[at + 1] !== NONE) at = (at + 2) & mask;
    table[at] = hash;
    table[at + 1] = position;
  }

  /** Positions without gaps, in a table with room for half as many entries again. */
  #rebuild(): void {
    const table = this.#table;
    const capacity = Math.max(CAPACITY_MIN, 1 << (32 - Math.clz32(this.#size * 2)));
    this.#table = emptyTable(capacity);
    this.#shift = shiftOf(capacity);
    if (this.#size < this.#entries.length) return this.#closeGaps();
    // All stay where they are: none has to be read.
    for (let at = 0; at < table.length; at += 2) {
      const position = table[at + 1] ?? NONE;
      if (position !== NONE) this.#insert(table[at] ?? 0, position);
    }
  }

  #closeGaps(): void {
    const before = this.#entries;
    const entries: KeyEntry[] = [];
    this.#entries = entries;
    const walks = [...this.#walks].sort((a, b) => a.position - b.position);
    let moved = 0;
    for (let position = 0; position <= before.length; position++) {
      for (; walks[moved]?.position === position; moved++) walks[moved]?.moveTo(entries.length);
      const entry = before[position];
      if (entry === undefined) continue;
      entry.position = entries.length;
      entries.push(entry);
      this.#insert(entry.hash, entry.position);
    }
  }
}

/** Survives that positions change. */
class EntryWalk implements IterableIterator<KeyEntry> {
  /** Where it goes on. */
  position = 0;
  readonly #entryFrom: (position: number) => KeyEntry | undefined;
  readonly #end: () => void;

  constructor(entryFrom: (position: number) => KeyEntry | undefined, end: () => void) {
    this.#entryFrom = entryFrom;
    this.#end = end;
  }

  moveTo(position: number): void {
    this.position = position;
  }

  next(): IteratorResult<KeyEntry, undefined> {
    const value = this.#entryFrom(this.position);
    if (value === undefined) return this.return();
    this.position = value.position + 1;
    return { done: false, value };
  }

  return(): IteratorResult<KeyEntry, undefined> {
    this.position = Infinity;
    this.#end();
    return { done: true, value: undefined };
  }

  [Symbol.iterator](): this {
    return this;
  }
}

function emptyTable(capacity: number): Int32Array {
  return new Int32Array(capacity * 2).fill(NONE);
}

function shiftOf(capacity: number): number {
  return Math.clz32(capacity) + 1;
}
