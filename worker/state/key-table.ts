/**
 * The keys of one heap backend. A key has one entry however many states, windows and timers it is
 * part of, so a record costs one hash lookup and each state after that is a slot of the entry. An
 * entry exists while something holds it, or until the log says that nothing does: reading never
 * creates one. The table also knows which entries changed since the last freeze, and asks the cold
 * keys below it, if there are any, for entries that it lacks; it must never know what the slots contain.
 */
import { encodeKey, keyHash, type Key } from '../../core/key-codec.js';
import { invariant } from '../../core/errors.js';
import { COLD, KeyEntry, type KeyIdentity } from './key-entry.js';
import { KeyBatch } from './key-batch.js';
import { KeyIndex } from './key-index.js';
import { flatString } from './own-value.js';

/** Changed timers, beside the bits of the slots in `KeyEntry.changed`. */
export const TIMERS_BIT = 1 << 30;
/** The first slot that shares its bit with all later ones. */
export const SHARED_SLOT = 29;
/** Below this many, entries of keys that came and went are left among the changed ones. */
const GONE_MAX = 1024;

/** The bit of a slot in the masks of an entry. */
export function slotBit(index: number): number {
  return 1 << Math.min(index, SHARED_SLOT);
}

/** The keys of a table that are not in memory; a table without has all of them in memory. */
export interface ColdKeys {
  /** Another key becomes the current one in the place of this entry. */
  leave(entry: KeyEntry): void;
  /** Brings an entry in that the table lacks: it is adopted when this returns. */
  load(key: Key): KeyEntry | undefined;
  /** Makes room, if room is short. */
  relieve(): void;
  created(entry: KeyEntry): void;
  /** Nothing holds the entry any more. */
  removed(entry: KeyEntry): void;
}

export class KeyTable {
  /** Entry of the current key; undefined while nothing holds one. */
  current: KeyEntry | undefined;
  #key: Key | undefined;
  /** Of the current key. */
  #hash = 0;
  readonly #index = new KeyIndex();
  readonly #batch = new KeyBatch(this.#index);
  #ordinal = 0;
  #slotCount = 0;
  #holdCount = 0;
  #epoch = 1;
  #timersEpoch = 0;
  #onlyText = true;
  /** Entries that changed in this epoch, in order of their first change. */
  #changed: KeyEntry[] = [];
  /** How many of those are gone and were never logged. */
  #gone = 0;
  #saveFrozen: ((entry: KeyEntry) => void) | undefined;
  #cold: ColdKeys | undefined;

  /** Some of the keys are elsewhere; called before there is any. */
  putOver(cold: ColdKeys): void {
    this.#cold = cold;
  }

  /** Numbers the stretches between two freezes, from 1; what a restore brings is of epoch 0. */
  get epoch(): number {
    return this.#epoch;
  }

  /** Whether all keys so far are strings. */
  get onlyText(): boolean {
    return this.#onlyText;
  }

  /** What holds entries, over all of them, cold ones too: filled slots, open windows and timers. */
  get holdCount(): number {
    return this.#holdCount;
  }

  /** Entries in memory. */
  get size(): number {
    return this.#index.size;
  }

  /** Greater than the ordinals of all entries so far. */
  get nextOrdinal(): number {
    return this.#ordinal;
  }

  /** Entries that changed in this epoch; some may be gone. */
  get changedCount(): number {
    return this.#changed.length;
  }

  /** The bits of all slots. */
  get allSlots(): number {
    return (1 << Math.min(this.#slotCount, SHARED_SLOT + 1)) - 1;
  }

  /** @returns index of a new slot in every entry */
  addSlot(): number {
    return this.#slotCount++;
  }

  /** Finds the entries of keys that will be set one after the other. @returns as `KeyBatch.lookUp` */
  lookUp(keys: readonly Key[]): (KeyEntry | undefined)[] {
    return this.#batch.lookUp(keys);
  }

  /** @param hash as `keyHash` has it, if it is known */
  setCurrentKey(key: Key, hash?: number): void {
    const entry = this.#batch.next(key) ?? this.#search(key, hash);
    const left = this.current;
    this.#key = key;
    if (entry !== undefined) this.#hash = entry.hash;
    // Before it is touched: saving may find out that nothing holds it, and it is current no more.
    this.current = entry;
    if (entry !== undefined) this.touch(entry);
    if (this.#cold === undefined) return;
    if (left !== undefined && left !== entry) this.#cold.leave(left);
    if (entry === undefined) this.current = this.#cold.load(key);
    else entry.referenced = true;
    this.#cold.relieve();
  }

  /** The entry of a key, if it is in memory. */
  find(key: Key): KeyEntry | undefined {
    return this.#index.find(identityOf(key), hashOf(key));
  }

  setCurrentEntry(entry: KeyEntry): void {
    this.current = entry;
    this.#key = entry.key;
    this.#hash = entry.hash;
    this.touch(entry);
  }

  currentKey(): Key {
    invariant(this.#key !== undefined, 'keyed state was used before there was a current key');
    return this.#key;
  }

  /** Entry of the current key, made where there is none; the caller must hold it. */
  demand(): KeyEntry {
    if (this.current !== undefined) return this.current;
    this.current = this.#adopt(this.currentKey(), this.#hash);
    this.#cold?.created(this.current);
    return this.current;
  }

  hold(entry: KeyEntry): void {
    entry.holds++;
    this.#holdCount++;
  }

  /** Things that held entries are gone from the cold store. */
  releaseCold(count: number): void {
    this.#holdCount -= count;
  }

  release(entry: KeyEntry): void {
    this.#holdCount--;
    if (--entry.holds > 0 || entry.logged !== 0) return;
    this.#remove(entry);
    if (entry.changed === 0 || ++this.#gone < GONE_MAX) return;
    if (this.#gone * 2 < this.#changed.length) return;
    this.#changed = this.#changed.filter(({ holds, logged }) => holds > 0 || logged !== 0);
    this.#gone = 0;
  }

  /** What the bits stand for is about to change, or just did: the log has to hear of it. */
  mark(entry: KeyEntry, bits: number): void {
    if (entry.changed === 0) {
      entry.epoch = this.#epoch;
      this.outdate(entry);
      this.#changed.push(entry);
    }
    entry.changed |= bits;
  }

  /** The log says something of an entry. @param logged bits of the slots that it has rows of */
  restored(entry: KeyEntry, logged: number): void {
    entry.logged |= logged;
    // Nobody has asked for it yet.
    entry.referenced = false;
    this.outdate(entry);
  }

  /** The entry is about to differ from its row in the cold store. */
  outdate(entry: KeyEntry): void {
    if (entry.cold === COLD.current) entry.cold = COLD.stale;
  }

  /** Before an entry is handed out: what it held at the last freeze is saved if it was not yet. */
  touch(entry: KeyEntry): void {
    if (this.#saveFrozen === undefined) return;
    if (entry.changed !== 0 && entry.epoch !== this.#epoch) this.#saveFrozen(entry);
  }

  /**
   * Begins a new epoch. What changed before it has to be written as it is now, whenever that happens.
   * @param save is called with such an entry before anyone may change it; it calls `saved`
   * @returns the entries that changed, some of which may be gone
   */
  freeze(save: (entry: KeyEntry) => void): readonly KeyEntry[] {
    const changed = this.#changed;
    this.#changed = [];
    this.#gone = 0;
    this.#epoch++;
    this.#saveFrozen = save;
    if (this.current !== undefined) this.touch(this.current);
    return changed;
  }

  /** As `freeze`, with all entries, whether they changed or not. */
  freezeAll(save: (entry: KeyEntry) => void): readonly KeyEntry[] {
    const all = this.#index.all();
    for (const entry of all) {
      if (entry.changed !== 0) continue;
      entry.epoch = this.#epoch;
      entry.changed = this.allSlots;
    }
    this.freeze(save);
    return all;
  }

  /** All that was frozen is saved. */
  thaw(): void {
    this.#saveFrozen = undefined;
  }

  /** All timers that were registered in this epoch or before are in the log. */
  timersSaved(epoch: number): void {
    this.#timersEpoch = epoch;
  }

  /** Whether an entry and its timers are in the log as they are. */
  isSaved(entry: KeyEntry): boolean {
    if (entry.changed !== 0) return false;
    for (let timer = entry.timers; timer !== undefined; timer = timer.nextOfKey) {
      if (timer.epoch > this.#timersEpoch) return false;
    }
    return true;
  }

  /** The log holds this entry as it is. @param logged bits of the slots that it has rows of */
  saved(entry: KeyEntry, logged: number): void {
    const kept = entry.holds === 0 && entry.logged !== 0;
    entry.changed = 0;
    entry.logged = logged;
    if (kept && logged === 0) this.#remove(entry);
  }

  /** The log has nothing of the entry in this slot any more. */
  unlog(entry: KeyEntry, slot: number): void {
    this.outdate(entry);
    // A bit that others share stays, and the next save finds out what it stands for.
    if (slot < SHARED_SLOT) entry.logged &= ~slotBit(slot);
    else this.mark(entry, slotBit(slot));
  }

  /** A frozen entry could not be saved: it counts as changed in this epoch. */
  markAgain(entry: KeyEntry): void {
    const { changed } = entry;
    entry.changed = 0;
    this.mark(entry, changed);
  }

  /** Entries in order of creation; those created or dropped meanwhile are met or not met. */
  entries(): IterableIterator<KeyEntry> {
    return this.#index.walk();
  }

  /** Takes an entry out of memory that is to be found elsewhere. */
  evict(entry: KeyEntry): void {
    this.#index.delete(entry);
    entry.slots.length = 0;
  }

  #remove(entry: KeyEntry): void {
    this.#index.delete(entry);
    if (this.current === entry) this.current = undefined;
    this.#cold?.removed(entry);
  }

  /** A new entry of a key that has none. */
  adopt(key: Key): KeyEntry {
    return this.#adopt(key, hashOf(key));
  }

  /** Finds the entry of a key that is about to be the current one. */
  #search(key: Key, hash: number | undefined): KeyEntry | undefined {
    this.#hash = hash === undefined ? hashOf(key) : hash | 0;
    return this.#index.find(identityOf(key), this.#hash);
  }

  #adopt(key: Key, hash: number): KeyEntry {
    const owned = ownKey(key);
    this.#onlyText &&= typeof owned === 'string';
    const slots = new Array<unknown>(this.#slotCount).fill(undefined);
    const entry = new KeyEntry(owned, identityOf(owned), hash, this.#ordinal++, slots);
    this.#index.add(entry);
    return entry;
  }
}

/** Equal exactly for equal keys; a composite key never meets a string key in one backend. */
export function identityOf(key: Key): KeyIdentity {
  if (typeof key !== 'object') return key;
  const bytes = encodeKey(key);
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1');
}

/** A small integer to V8: an entry keeps it in itself. */
function hashOf(key: Key): number {
  return keyHash(key) | 0;
}

/** A copy that neither a later change by the caller nor the chunk it was read from reaches. */
function ownKey(key: Key): Key {
  if (typeof key === 'string') return flatString(key);
  if (typeof key === 'number') return key + 0;
  if (typeof key !== 'object') return key;
  return Object.freeze(Array.isArray(key) ? [...(key as readonly unknown[])] : { ...key }) as Key;
}
