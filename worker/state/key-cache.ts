/**
 * The entries of a key table that are in memory, with all others as rows in the cold store below
 * (journey of a record: keyed state -> key cache -> cold store). What was not used for longest is
 * evicted once memory is short: only what the log has, so that a checkpoint never reads a row, and
 * without a write where its row is what it was. It must never look into what the slots contain.
 */
import { ByteReader } from '../../core/byte-reader.js';
import { ByteWriter } from '../../core/byte-writer.js';
import { decodeKey, encodeKey, keyHash, type Key } from '../../core/key-codec.js';
import { keyGroupOf } from '../../core/key-group.js';
import type { ColdKey, ColdTimer } from './cold/cold-key.js';
import type { ColdStore } from './cold/cold-store.js';
import type { DeclaredState } from './declared-state.js';
import { textBytes } from './heap-size.js';
import { COLD, type KeyEntry, type Timer } from './key-entry.js';
import { slotBit, type ColdKeys, type KeyTable } from './key-table.js';
import type { TimeDomain } from './keyed-state-backend.js';
import type { LiveMemory, LiveShare } from './live-memory.js';
import { TIME_DOMAINS, type AbsentTimers, type HeapTimers } from './heap-timers.js';
import { isEarlier } from './cold/cold-timers.js';

/** Entries looked at in one search for something to evict. */
const VISITS_MAX = 64;
/** Searches at the end of a batch. */
const SEARCHES_MAX = 16;
/** Keys with due timers that are brought in together. */
const DUE_TIMERS_MAX = 256;
/** An entry, its place in the table, its list of slots. */
const ENTRY_BYTES = 300;
const TIMER_BYTES = 150;
/** A bucket that is restored may exceed memory by a quarter before a part of it leaves. */
const RESTORED_SHARE_MAX = 1.25;
/** Changed entries are measured once in so many uses. */
const MEASURE_EVERY = 4;

/** What a slot gives to each of its operators so that they need not keep all state in memory. */
export interface ColdBelow {
  /** One for each operator of the slot. */
  readonly newStore: () => ColdStore;
  readonly memory: LiveMemory;
}

export interface KeyCacheOptions {
  readonly keys: KeyTable;
  readonly timers: HeapTimers;
  /** In the order of their slots. */
  readonly states: readonly DeclaredState[];
  readonly maxParallelism: number;
  readonly store: ColdStore;
  readonly memory: LiveMemory;
  /** Much that could be evicted is not in the log: it has to be written soon. */
  readonly onUnsaved: () => void;
}

export class KeyCache implements ColdKeys, AbsentTimers, LiveShare {
  readonly #options: KeyCacheOptions;
  readonly #out = new ByteWriter();
  /** Where the search for something to evict stands. */
  #hand: IterableIterator<KeyEntry> | undefined;
  #bytes = 0;
  #uses = 0;
  /** While somebody goes through entries, none may leave. */
  #pins = 0;
  /** The first entry of the bucket that is being restored, if all of the bucket's are in memory. */
  #wholeFrom = Infinity;
  /** While a bucket is restored, the hand stands before its entries that were not looked at. */
  #restoring = false;
  #unseen = 0;

  constructor(options: KeyCacheOptions) {
    this.#options = options;
    options.memory.join(this);
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Nothing is evicted until it is unpinned. */
  pin(): void {
    this.#pins++;
  }

  unpin(): void {
    this.#pins--;
  }

  close(): void {
    this.#options.memory.leave(this);
  }

  /** No key of the bucket that is restored from now on has a row, as long as none has left. */
  beginBucket(): void {
    this.#restoring = true;
    this.#hand ??= this.#options.keys.entries();
    this.#wholeFrom = this.#options.keys.nextOrdinal;
  }

  /** What there is no room for leaves while it is young: the collector never has to move it. */
  endBucket(): void {
    this.#wholeFrom = Infinity;
    this.#evictRestored();
    for (; this.#unseen > 0; this.#unseen--) this.#hand?.next();
    this.#restoring = false;
    this.#options.store.flush();
  }

  leave(entry: KeyEntry): void {
    this.#options.memory.hits++;
    if (++this.#uses % MEASURE_EVERY === 0 && entry.cold !== COLD.current) this.#measure(entry);
  }

  load(key: Key): KeyEntry | undefined {
    if (this.#wholeFrom < Infinity) return undefined;
    const row = this.#options.store.rows.get(this.coldKeyOf(key));
    if (row === undefined) return undefined;
    return this.#place(key, row);
  }

  /**
   * Brings in those of the keys that are not in memory, so that using them reads nothing.
   * @param entries of the keys, as far as they are known; those that are brought in are added
   */
  prefetch(keys: readonly Key[], entries: (KeyEntry | undefined)[]): void {
    const { keys: table } = this.#options;
    const absent: number[] = [];
    const present: number[] = [];
    for (let i = 0; i < keys.length; i++) {
      const key = keys[i] as Key;
      let entry = entries[i];
      if (entry === undefined) {
        if (!isKey(key)) continue;
        entry = table.find(key);
      }
      if (entry === undefined) {
        absent.push(i);
      } else {
        // It must not make room for the others and be read again.
        entry.referenced = true;
        entries[i] = entry;
        present.push(i);
      }
    }
    this.#makeRoom(absent.length * this.#entryBytes());
    // It may have, where little fits beside a batch.
    for (const i of present) if ((entries[i]?.position ?? 0) < 0) absent.push(i);
    if (absent.length === 0) return;
    const placed = this.#placeAll(absent.map((i) => keys[i] as Key));
    absent.forEach((i, index) => (entries[i] = placed[index]));
  }

  created(entry: KeyEntry): void {
    // Until it is measured.
    this.#count(entry, this.#entryBytes());
    if (this.#restoring) this.#unseen++;
    if (this.#options.store.rows.forgets) this.#expectForgotten(entry);
  }

  removed(entry: KeyEntry): void {
    this.#count(entry, 0);
    if (entry.cold !== COLD.absent) this.#options.store.rows.delete(this.#coldKey(entry));
  }

  relieve(): void {
    this.#options.memory.relieve();
  }

  evict(): void {
    if (this.#pins > 0) return;
    const { keys, memory, onUnsaved } = this.#options;
    if (this.#restoring) {
      if (memory.usedBytes > memory.bytesMax * RESTORED_SHARE_MAX) this.#evictRestored();
      return;
    }
    let unsaved = 0;
    for (let visits = 0; visits < VISITS_MAX && memory.isShort; visits++) {
      const entry = this.#next();
      if (entry === undefined) break;
      if (entry === keys.current) continue;
      if (entry.referenced) entry.referenced = false;
      else if (!this.#tryEvict(entry)) unsaved++;
    }
    if (unsaved > 0) onUnsaved();
  }

  coldKeyOf(key: Key): ColdKey {
    return {
      bytes: encodeKey(key),
      keyGroup: keyGroupOf(keyHash(key), this.#options.maxParallelism),
    };
  }

  bringIn(domain: TimeDomain, upTo: number, first: Timer | undefined): boolean {
    const { keys, store } = this.#options;
    const bound = store.timers.bound(domain);
    if (first !== undefined && isEarlier(first, bound)) return false;
    if (!isEarlier(bound, { timestamp: upTo, sequence: Infinity })) return false;
    // Before, not after: what is brought in has to fire before it may leave.
    this.#makeRoom();
    const due = store.timers.take(domain, upTo, DUE_TIMERS_MAX);
    const absent = new Map<string, Key>();
    for (const { key: bytes } of due) {
      const key = decodeKey(bytes);
      if (keys.find(key) === undefined) absent.set(Buffer.from(bytes).toString('latin1'), key);
    }
    if (absent.size > 0) this.#placeAll([...absent.values()]);
    return due.length > 0;
  }

  next(domain: TimeDomain): number | undefined {
    return this.#options.store.timers.next(domain);
  }

  gone(timer: Timer): void {
    this.#options.store.timers.remove(timer.domain, coldTimer(timer));
  }

  /** @param bytes that are about to be needed */
  #makeRoom(bytes = 0): void {
    const { memory } = this.#options;
    memory.count(bytes);
    for (let left = SEARCHES_MAX; left > 0 && memory.isShort; left--) memory.relieve();
    memory.count(-bytes);
  }

  /** What an entry takes on average. */
  #entryBytes(): number {
    const { size } = this.#options.keys;
    return Math.max(ENTRY_BYTES, Math.floor(this.#bytes / Math.max(1, size - 1)));
  }

  /** Those of the bucket at hand that were not looked at, from the first on, while room is short. */
  #evictRestored(): void {
    const { keys, memory } = this.#options;
    for (; this.#unseen > 0 && memory.isShort; this.#unseen--) {
      const entry = this.#next();
      if (entry !== undefined && entry !== keys.current) this.#tryEvict(entry);
    }
  }

  /** The next entry that the search comes by; it goes round. */
  #next(): KeyEntry | undefined {
    let next = this.#hand?.next();
    if (next === undefined || next.done === true) {
      this.#hand = this.#options.keys.entries();
      next = this.#hand.next();
    }
    return next.done === true ? undefined : next.value;
  }

  /** @returns false while the log does not have it as it is */
  #tryEvict(entry: KeyEntry): boolean {
    const { keys, timers, states } = this.#options;
    // If it is to be saved as it is now, that can be done here.
    keys.touch(entry);
    if (!keys.isSaved(entry)) return false;
    // Saving may have found out that nothing holds it.
    if (entry.holds === 0 && entry.logged === 0) return true;
    if (entry.cold !== COLD.current) this.#writeRow(entry);
    for (let timer = entry.timers; timer !== undefined; timer = timer.nextOfKey) {
      this.#keepTimer(timer);
    }
    for (const { state } of states) state.unload(entry);
    timers.unload(entry);
    keys.evict(entry);
    if (entry.ordinal >= this.#wholeFrom) this.#wholeFrom = Infinity;
    this.#count(entry, 0);
    this.#options.memory.evictions++;
    return true;
  }

  #keepTimer(timer: Timer): void {
    const { timers } = this.#options.store;
    if (timer.cold) timers.rewind(timer.domain, coldTimer(timer));
    else timers.add(timer.domain, coldTimer(timer));
  }

  /** An entry with nothing but what is kept apart has no row. */
  #writeRow(entry: KeyEntry): void {
    const { rows } = this.#options.store;
    const out = this.#out;
    out.reset();
    out.int32(entry.logged);
    let expiresAt = 0;
    let things = 0;
    for (let timer = entry.timers; timer !== undefined; timer = timer.nextOfKey) things++;
    out.varint(things);
    for (let timer = entry.timers; timer !== undefined; timer = timer.nextOfKey) {
      out.uint8(TIME_DOMAINS.indexOf(timer.domain));
      out.float64(timer.timestamp);
      out.float64(timer.sequence);
      expiresAt = Infinity;
    }
    const { states } = this.#options;
    for (let index = 0; index < states.length; index++) {
      const row = states[index]?.state.row;
      if (row === undefined || entry.slots[index] === undefined) continue;
      out.varint(index);
      expiresAt = Math.max(expiresAt, row.writeRow(entry, out));
      things++;
    }
    if (things > 0 || entry.logged !== 0) {
      const expires = things > 0 && expiresAt < Infinity ? expiresAt : undefined;
      const contents = out.peek().subarray(0, out.length);
      rows.put(this.#coldKey(entry), contents, expires, things);
    } else if (entry.cold !== COLD.absent) {
      rows.delete(this.#coldKey(entry));
    }
  }

  /** @returns the entries of those that have a row */
  #placeAll(keys: readonly Key[]): (KeyEntry | undefined)[] {
    const { keys: table, store } = this.#options;
    const rows = store.rows.beginRead(keys.map((key) => this.coldKeyOf(key))).values();
    return keys.map((key, index) => {
      const row = rows[index];
      // A key may be asked for twice.
      return row === undefined ? undefined : (table.find(key) ?? this.#place(key, row));
    });
  }

  #place(key: Key, row: Uint8Array): KeyEntry {
    const { keys, timers, states, memory } = this.#options;
    const entry = keys.adopt(key);
    memory.misses++;
    const from = new ByteReader(row);
    entry.cold = COLD.current;
    entry.logged = from.int32();
    for (let left = from.varint(); left > 0; left--) {
      const domain = TIME_DOMAINS[from.uint8()] ?? 'eventTime';
      const timestamp = from.float64();
      timers.load(entry, domain, timestamp, from.float64());
      entry.holds++;
    }
    while (from.remaining > 0) {
      states[from.varint()]?.state.row?.readRow(entry, from);
      entry.holds++;
    }
    this.#measure(entry);
    return entry;
  }

  /** Rows that have expired were removed, so the log may have something that nobody remembers. */
  #expectForgotten(entry: KeyEntry): void {
    this.#options.states.forEach(({ form }, index) => {
      if (form.ttl) entry.logged |= slotBit(index);
    });
  }

  #measure(entry: KeyEntry): void {
    const { states } = this.#options;
    const { key } = entry;
    let bytes = ENTRY_BYTES + (typeof key === 'string' ? textBytes(key) : ENTRY_BYTES);
    for (let index = 0; index < states.length; index++) {
      if (entry.slots[index] !== undefined) bytes += states[index]?.state.heapBytes(entry) ?? 0;
    }
    for (let timer = entry.timers; timer !== undefined; timer = timer.nextOfKey) {
      bytes += TIMER_BYTES;
    }
    this.#count(entry, bytes);
  }

  #count(entry: KeyEntry, bytes: number): void {
    const change = bytes - entry.bytes;
    entry.bytes = bytes;
    this.#bytes += change;
    this.#options.memory.count(change);
  }

  #coldKey(entry: KeyEntry): ColdKey {
    return {
      bytes: encodeKey(entry.key),
      keyGroup: keyGroupOf(entry.hash, this.#options.maxParallelism),
    };
  }
}

/** Whatever is no key fails when it is used as one. */
function isKey(key: Key): boolean {
  try {
    keyHash(key);
    return true;
  } catch {
    return false;
  }
}

function coldTimer({ timestamp, sequence, entry }: Timer): ColdTimer {
  return { timestamp, sequence, key: encodeKey(entry.key) };
}
