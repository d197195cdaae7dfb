/**
 * The keys of one memory backend. A key has one entry however many states, windows and timers it is
 * part of, so a record costs one hash lookup and each state after that is a slot of the entry. An
 * entry exists while something holds it: reading never creates one. It must never know what the
 * slots contain.
 */
import { encodeKey, type Key } from '../../core/key-codec.js';
import { invariant } from '../../core/errors.js';
import { flatString } from './own-value.js';

/** What a Map can find a key by: the key itself, or the text of a tuple's or record's bytes. */
type KeyIdentity = string | number | bigint | boolean;

export class KeyEntry {
  /** Key group once it was asked for; most short-lived keys are never asked. */
  keyGroup = -1;
  /** Slots, windows and timers that still need this entry. */
  holds = 0;

  constructor(
    readonly key: Key,
    readonly identity: KeyIdentity,
    /** Tells keys apart in hash tables that can't hash a key. */
    readonly ordinal: number,
    /** By index of the state; undefined where there is nothing. */
    readonly slots: unknown[],
  ) {}
}

export class KeyTable {
  /** Entry of the current key; undefined while nothing holds one. */
  current: KeyEntry | undefined;
  #key: Key | undefined;
  readonly #entries = new Map<KeyIdentity, KeyEntry>();
  #ordinal = 0;
  #slotCount = 0;
  #holdCount = 0;

  /** What holds entries, over all of them: filled slots, open windows and timers. */
  get holdCount(): number {
    return this.#holdCount;
  }

  /** @returns index of a new slot in every entry */
  addSlot(): number {
    return this.#slotCount++;
  }

  setCurrentKey(key: Key): void {
    this.current = this.#entries.get(typeof key === 'object' ? identityOf(key) : key);
    this.#key = key;
  }

  setCurrentEntry(entry: KeyEntry): void {
    this.current = entry;
    this.#key = entry.key;
  }

  currentKey(): Key {
    invariant(this.#key !== undefined, 'keyed state was used before there was a current key');
    return this.#key;
  }

  /** Entry of the current key, made where there is none; the caller must hold it. */
  demand(): KeyEntry {
    return (this.current ??= this.#create(this.currentKey()));
  }

  hold(entry: KeyEntry): void {
    entry.holds++;
    this.#holdCount++;
  }

  release(entry: KeyEntry): void {
    this.#holdCount--;
    if (--entry.holds > 0) return;
    this.#entries.delete(entry.identity);
    if (this.current === entry) this.current = undefined;
  }

  /** Entries in order of creation; those created or dropped meanwhile are met or not met. */
  entries(): IterableIterator<KeyEntry> {
    return this.#entries.values();
  }

  #create(key: Key): KeyEntry {
    const owned = ownKey(key);
    const identity = typeof owned === 'object' ? identityOf(owned) : owned;
    const slots = new Array<unknown>(this.#slotCount).fill(undefined);
    const entry = new KeyEntry(owned, identity, this.#ordinal++, slots);
    this.#entries.set(identity, entry);
    return entry;
  }
}

/** Equal exactly for equal keys; a composite key never meets a string key in one backend. */
function identityOf(key: Key & object): string {
  const bytes = encodeKey(key);
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1');
}

/** A copy that neither a later change by the caller nor the chunk it was read from reaches. */
function ownKey(key: Key): Key {
  if (typeof key === 'string') return flatString(key);
  if (typeof key === 'number') return key + 0;
  if (typeof key !== 'object') return key;
  return Object.freeze(Array.isArray(key) ? [...(key as readonly unknown[])] : { ...key }) as Key;
}
