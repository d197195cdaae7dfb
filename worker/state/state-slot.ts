/**
 * One slot per key for the states that keep one thing per key (value, list, reducing, aggregating).
 * Two forms behind one interface: plain, and with a time to live that is checked on each read and
 * by the sweep. It must never look into what it keeps.
 */
import { slotBit, type KeyEntry, type KeyTable } from './key-table.js';

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
}

export function stateSlot(options: StateSlotOptions): StateSlot {
  const { keys, ttlMs, now } = options;
  return ttlMs === undefined ? new PlainSlot(keys) : new ExpiringSlot(keys, ttlMs, now);
}

class PlainSlot implements StateSlot {
  readonly #keys: KeyTable;
  readonly #index: number;
  readonly #bit: number;

  constructor(keys: KeyTable) {
    this.#keys = keys;
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
    if (entry?.slots[this.#index] === undefined) return;
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
    restoreSlot(this.#keys, this.#index, this.#bit, value);
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
  const entry = value === undefined ? keys.current : keys.demand();
  if (entry === undefined) return;
  const before = entry.slots[index];
  entry.slots[index] = value;
  if (value !== undefined) {
    keys.restored(entry, bit);
    if (before === undefined) keys.hold(entry);
  } else if (before !== undefined) {
    keys.unlog(entry, index);
    keys.release(entry);
  }
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

  constructor(keys: KeyTable, ttlMs: number, now: () => number) {
    this.#keys = keys;
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
    this.#remove(entry);
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
    if (entry !== undefined && this.#cell(entry) !== undefined) this.#remove(entry);
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
    const cell =
      value === undefined ? undefined : new ExpiringCell(value, writtenAt ?? this.#now());
    restoreSlot(this.#keys, this.#index, this.#bit, cell);
  }

  load(entry: KeyEntry, value: unknown, writtenAt: number | undefined): void {
    entry.slots[this.#index] = new ExpiringCell(value, writtenAt ?? this.#now());
  }

  removeExpired(entry: KeyEntry, now: number, max: number): number {
    const cell = this.#cell(entry);
    if (max < 1 || cell === undefined || !isExpired(cell, this.#ttlMs, now)) return 0;
    this.#remove(entry);
    return 1;
  }

  #cell(entry: KeyEntry): ExpiringCell | undefined {
    return entry.slots[this.#index] as ExpiringCell | undefined;
  }

  #remove(entry: KeyEntry): void {
    entry.slots[this.#index] = undefined;
    this.#keys.mark(entry, this.#bit);
    this.#keys.release(entry);
  }
}

/** As in Flink: gone from the moment that `ttlMs` have passed since the last write. */
export function isExpired(cell: ExpiringCell, ttlMs: number, now: number): boolean {
  return cell.writtenAt + ttlMs <= now;
}
