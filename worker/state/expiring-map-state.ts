/**
 * Map state in memory with a time to live, which each element has for itself, as in Flink. A write
 * moves its element to the end of the Map, so the oldest are first and the sweep stops at the first
 * that is still good.
 */
import type { MapState } from '../../api/state.js';
import type { ByteReader } from '../../core/byte-reader.js';
import type { ByteWriter } from '../../core/byte-writer.js';
import { BigMap } from './big-map.js';
import { ElementState } from './element-state.js';
import type { KeyEntry } from './key-entry.js';
import type { HeapStateOptions } from './heap-state.js';
import type { StateRow } from './run-rows.js';
import { ExpiringCell, isExpired } from './state-slot.js';

export class ExpiringMapState<V> extends ElementState<ExpiringCell> implements MapState<V> {
  readonly #ttlMs: number;
  readonly #now: () => number;

  constructor(options: HeapStateOptions, ttlMs: number) {
    super(options);
    this.#ttlMs = ttlMs;
    this.#now = options.now;
  }

  get(key: string): V | undefined {
    return this.#cell(key)?.value as V | undefined;
  }

  put(key: string, value: V): void {
    const cell = this.elements?.get(key) ?? new ExpiringCell(undefined, 0);
    cell.value = this.own(value);
    cell.writtenAt = this.#now();
    this.set(key, cell, true);
  }

  has(key: string): boolean {
    return this.#cell(key) !== undefined;
  }

  remove(key: string): void {
    const entry = this.currentEntry;
    if (entry !== undefined) this.delete(entry, key);
  }

  *entries(): IterableIterator<[string, V]> {
    const now = this.#now();
    for (const [key, cell] of this.cells()) {
      if (!isExpired(cell, this.#ttlMs, now)) yield [key, cell.value as V];
    }
  }

  isEmpty(): boolean {
    return this.entries().next().done === true;
  }

  restoreRow(row: StateRow): void {
    this.restore(row.name, new ExpiringCell(row.value, row.writtenAt ?? this.#now()), true);
  }

  removeExpired(entry: KeyEntry, now: number, max: number): number {
    const elements = this.elementsOf(entry);
    if (elements === undefined) return 0;
    if (elements instanceof BigMap) {
      // Single elements are removed by the cold store's walk, or when they are asked for.
      if (max < 1 || elements.head.expiresAt > now) return 0;
      this.deleteAll(entry);
      return 1;
    }
    let removed = 0;
    for (const [key, cell] of elements.entries()) {
      if (removed >= max || !isExpired(cell, this.#ttlMs, now)) break;
      this.delete(entry, key);
      removed++;
    }
    return removed;
  }

  protected fillRow(cell: ExpiringCell, row: StateRow): void {
    row.value = cell.value;
    row.writtenAt = cell.writtenAt;
  }

  protected valueOf(cell: ExpiringCell): unknown {
    return cell.value;
  }

  protected writeCell(cell: ExpiringCell, out: ByteWriter): void {
    out.float64(cell.writtenAt);
    this.codec.write(out, cell.value);
  }

  protected expiresAt(cell: ExpiringCell): number {
    return cell.writtenAt + this.#ttlMs;
  }

  protected readCell(from: ByteReader): ExpiringCell {
    const writtenAt = from.float64();
    return new ExpiringCell(this.codec.read(from), writtenAt);
  }

  /** The cell of an element of the current key that is still good. */
  #cell(key: string): ExpiringCell | undefined {
    const entry = this.currentEntry;
    const cell = entry === undefined ? undefined : this.elementsOf(entry)?.get(key);
    if (entry === undefined || cell === undefined) return undefined;
    if (!isExpired(cell, this.#ttlMs, this.#now())) return cell;
    this.delete(entry, key);
    return undefined;
  }
}
