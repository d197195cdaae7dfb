/**
 * Map state in memory with a time to live, which each element has for itself, as in Flink. A write
 * moves its element to the end of the Map, so the oldest are first and the sweep stops at the first
 * that is still good..
 */
import type { MapState } from '../../api/state.js';
import type { KeyEntry, KeyTable } from './key-table.js';
import type { MemoryState, MemoryStateOptions } from './memory-state.js';
import { flatString, ownValueOf, type OwnValue } from './own-value.js';
import { ExpiringCell, isExpired } from './state-slot.js';
import type { StateRow } from './snapshot-rows.js';

type Cells = Map<string, ExpiringCell>;

export class ExpiringMapState<V> implements MapState<V>, MemoryState {
  readonly #keys: KeyTable;
  readonly #index: number;
  readonly #ttlMs: number;
  readonly #now: () => number;
  readonly #own: OwnValue | undefined;

  constructor({ keys, schema, now }: MemoryStateOptions, ttlMs: number) {
    this.#keys = keys;
    this.#index = keys.addSlot();
    this.#ttlMs = ttlMs;
    this.#now = now;
    this.#own = ownValueOf(schema);
  }

  get(key: string): V | undefined {
    return this.#cell(key)?.value as V | undefined;
  }

  put(key: string, value: V): void {
    const owned = this.#own === undefined ? value : this.#own(value);
    this.#write(key, owned, this.#now());
  }

  has(key: string): boolean {
    return this.#cell(key) !== undefined;
  }

  remove(key: string): void {
    const entry = this.#keys.current;
    const cells = entry && this.#cells(entry);
    if (entry !== undefined && cells?.delete(key) === true) this.#dropIfEmpty(entry, cells);
  }

  *entries(): IterableIterator<[string, V]> {
    const entry = this.#keys.current;
    const cells = entry && this.#cells(entry);
    if (cells === undefined) return;
    const now = this.#now();
    for (const [key, cell] of cells) {
      if (!isExpired(cell, this.#ttlMs, now)) yield [key, cell.value as V];
    }
  }

  isEmpty(): boolean {
    return this.entries().next().done === true;
  }

  clear(): void {
    const entry = this.#keys.current;
    const cells = entry && this.#cells(entry);
    if (entry === undefined || cells === undefined) return;
    cells.clear();
    this.#dropIfEmpty(entry, cells);
  }

  eachRow(entry: KeyEntry, row: StateRow, emit: () => void): void {
    const now = this.#now();
    for (const [name, cell] of this.#cells(entry) ?? []) {
      if (isExpired(cell, this.#ttlMs, now)) continue;
      row.name = name;
      row.value = cell.value;
      row.writtenAt = cell.writtenAt;
      emit();
    }
  }

  restoreRow(row: StateRow): void {
    const now = this.#now();
    const writtenAt = row.writtenAt ?? now;
    if (writtenAt + this.#ttlMs > now) this.#write(row.name, row.value, writtenAt);
  }

  removeExpired(entry: KeyEntry, now: number, max: number): number {
    const cells = this.#cells(entry);
    if (cells === undefined) return 0;
    let removed = 0;
    for (const [key, cell] of cells) {
      if (removed >= max || !isExpired(cell, this.#ttlMs, now)) break;
      cells.delete(key);
      removed++;
    }
    this.#dropIfEmpty(entry, cells);
    return removed;
  }

  #write(key: string, value: unknown, writtenAt: number): void {
    const entry = this.#keys.demand();
    let cells = this.#cells(entry);
    if (cells === undefined) {
      cells = new Map();
      entry.slots[this.#index] = cells;
      this.#keys.hold(entry);
    }
    const cell = cells.get(key);
    if (cell === undefined) {
      cells.set(flatString(key), new ExpiringCell(value, writtenAt));
      return;
    }
    cell.value = value;
    cell.writtenAt = writtenAt;
    cells.delete(key);
    cells.set(flatString(key), cell);
  }

  /** The cell of an element of the current key that is still good. */
  #cell(key: string): ExpiringCell | undefined {
    const entry = this.#keys.current;
    const cells = entry && this.#cells(entry);
    const cell = cells?.get(key);
    if (entry === undefined || cells === undefined || cell === undefined) return undefined;
    if (!isExpired(cell, this.#ttlMs, this.#now())) return cell;
    cells.delete(key);
    this.#dropIfEmpty(entry, cells);
    return undefined;
  }

  #cells(entry: KeyEntry): Cells | undefined {
    return entry.slots[this.#index] as Cells | undefined;
  }

  #dropIfEmpty(entry: KeyEntry, cells: Cells): void {
    if (cells.size > 0) return;
    entry.slots[this.#index] = undefined;
    this.#keys.release(entry);
  }
}
