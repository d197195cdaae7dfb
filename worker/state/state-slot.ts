/**
 * One slot per key for the states that keep one thing per key (value, list, reducing, aggregating).
 * Two forms behind one interface: plain, and with a time to live that is checked on each read and
 * by the sweep. It must never look into what it keeps.
 */
import type { KeyEntry } from './key-entry.js';
import { slotBit, type KeyTable } from './key-table.js';

export interface StateSlot {
  /** What the current key has here; undefined for nothing. */
  get(): unknown;
  /** @param value not undefined */
  put(value: unknown): void;
  clear(): void;
  /** What the current key has here, expired or not. */
  stored(): unknown;
  /** Of any key, expired or not, for the log. */
  of(entry: KeyEntry): unknown;
  /** Processing time (ms) of the last write; undefined without a time to live. */
  writtenAt(entry: KeyEntry): number | undefined;
  /** Puts or, with undefined, clears what the log says of the current key: no change for the log. */
  restore(value: unknown, writtenAt: number | undefined): void;
  /** Puts what the cold store has of an entry. @param value not undefined */
  load(entry: KeyEntry, value: unknown, writtenAt: number | undefined): void;
  /** @returns how many things were removed, at most `max` */
  removeExpired(entry: KeyEntry, now: number, max: number): number;
}

export interface StateSlotOptions {
  readonly keys: KeyTable;
  readonly ttlMs: number | undefined;
  readonly now: () => number;
  /** Is given what a key had here once that is gone, unless another took its place. */
  readonly onGone: ((value: unknown) => void) | undefined;
}

export function stateSlot(options: StateSlotOptions): StateSlot {
  const { ttlMs } = options;
  return ttlMs === undefined ? new PlainSlot(options) : new ExpiringSlot(options, ttlMs);
}

class PlainSlot implements StateSlot {
  readonly #keys: KeyTable;
  readonly #onGone: StateSlotOptions['onGone'];
  readonly #index: number;
  readonly #bit: number;

  constructor({ keys, onGone }: StateSlotOptions) {
    this.#keys = keys;
    this.#onGone = onGone;
    this.#index = keys.addSlot();
    this.#bit = slotBit(this.#index);
  }

  get(): unknown {
    return this.#keys.current?.slots[this.#index];
  }

  put(value: unknown): void {
    const entry = this.#keys.demand();
    if (entry.slots[this.#index] === undefined) this.#keys.hold(entry);
    entry.slots[this.#index] = value;
    this.#keys.mark(entry, this.#bit);
  }

  clear(): void {
    const entry = this.#keys.current;
    const value = entry?.slots[this.#index];
    if (entry === undefined || value === undefined) return;
    this.#onGone?.(value);
    entry.slots[this.#index] = undefined;
    this.#keys.mark(entry, this.#bit);
    this.#keys.release(entry);
  }

  stored(): unknown {
    return this.get();
  }

  of(entry: KeyEntry): unknown {
    return entry.slots[this.#index];
  }

  writtenAt(): undefined {
    return undefined;
  }

  restore(value: unknown): void {
    if (value !== undefined) {
      restoreSlot(this.#keys, this.#index, this.#bit, value);
      return;
    }
    const gone = clearRestored(this.#keys, this.#index);
    if (gone !== undefined) this.#onGone?.(gone);
  }

  load(entry: KeyEntry, value: unknown): void {
    entry.slots[this.#index] = value;
  }

  removeExpired(): number {
    return 0;
  }
}

/** The log is where this comes from, so nothing is marked as changed. */
function restoreSlot(keys: KeyTable, index: number, bit: number, value: unknown): void {
  const entry = keys.demand();
  const before = entry.slots[index];
  entry.slots[index] = value;
  keys.restored(entry, bit);
  if (before === undefined) keys.hold(entry);
}

/** @returns what was there */
function clearRestored(keys: KeyTable, index: number): unknown {
  const entry = keys.current;
  const before = entry?.slots[index];
  if (entry === undefined || before === undefined) return undefined;
  entry.slots[index] = undefined;
  keys.unlog(entry, index);
  keys.release(entry);
  return before;
}

/** A value with the time of its last write; changed in place, so that an update allocates nothing. */
export class ExpiringCell {
  constructor(
    public value: unknown,
    public writtenAt: number,
  ) {}
}

class ExpiringSlot implements StateSlot {
  readonly #keys: KeyTable;
  readonly #index: number;
  readonly #bit: number;
  readonly #ttlMs: number;
  readonly #now: () => number;
  readonly #onGone: StateSlotOptions['onGone'];

  constructor({ keys, now, onGone }: StateSlotOptions, ttlMs: number) {
    this.#keys = keys;
    this.#onGone = onGone;
    this.#index = keys.addSlot();
    this.#bit = slotBit(this.#index);
    this.#ttlMs = ttlMs;
    this.#now = now;
  }

  get(): unknown {
    const entry = this.#keys.current;
    const cell = entry === undefined ? undefined : this.#cell(entry);
    if (entry === undefined || cell === undefined) return undefined;
    if (!isExpired(cell, this.#ttlMs, this.#now())) return cell.value;
    this.#remove(entry, cell);
    return undefined;
  }

  put(value: unknown): void {
    const entry = this.#keys.demand();
    const cell = this.#cell(entry);
    if (cell === undefined) {
      entry.slots[this.#index] = new ExpiringCell(value, this.#now());
      this.#keys.hold(entry);
    } else {
      cell.value = value;
      cell.writtenAt = this.#now();
    }
    this.#keys.mark(entry, this.#bit);
  }

  clear(): void {
    const entry = this.#keys.current;
    const cell = entry && this.#cell(entry);
    if (entry !== undefined && cell !== undefined) this.#remove(entry, cell);
  }

  stored(): unknown {
    const entry = this.#keys.current;
    return entry === undefined ? undefined : this.#cell(entry)?.value;
  }

  of(entry: KeyEntry): unknown {
    return this.#cell(entry)?.value;
  }

  writtenAt(entry: KeyEntry): number | undefined {
    return this.#cell(entry)?.writtenAt;
  }

  restore(value: unknown, writtenAt: number | undefined): void {
    if (value !== undefined) {
      const cell = new ExpiringCell(value, writtenAt ?? this.#now());
      restoreSlot(this.#keys, this.#index, this.#bit, cell);
      return;
    }
    const gone = clearRestored(this.#keys, this.#index) as ExpiringCell | undefined;
    if (gone !== undefined) this.#onGone?.(gone.value);
  }

  load(entry: KeyEntry, value: unknown, writtenAt: number | undefined): void {
    entry.slots[this.#index] = new ExpiringCell(value, writtenAt ?? this.#now());
  }

  removeExpired(entry: KeyEntry, now: number, max: number): number {
    const cell = this.#cell(entry);
    if (max < 1 || cell === undefined || !isExpired(cell, this.#ttlMs, now)) return 0;
    this.#remove(entry, cell);
    return 1;
  }

  #cell(entry: KeyEntry): ExpiringCell | undefined {
    return entry.slots[this.#index] as ExpiringCell | undefined;
  }

  #remove(entry: KeyEntry, { value }: ExpiringCell): void {
    this.#onGone?.(value);
    entry.slots[this.#index] = undefined;
    this.#keys.mark(entry, this.#bit);
    this.#keys.release(entry);
  }
}

/** As in Flink: gone from the moment that `ttlMs` have passed since the last write. */
export function isExpired(cell: ExpiringCell, ttlMs: number, now: number): boolean {
  return cell.writtenAt + ttlMs <= now;
}
