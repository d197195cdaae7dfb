/** Map state in memory without a time to live: one Map per key. */
import type { MapState } from '../../api/state.js';
import type { ByteReader } from '../../core/byte-reader.js';
import type { ByteWriter } from '../../core/byte-writer.js';
import { ElementState } from './element-state.js';
import type { StateRow } from './run-rows.js';

export class HeapMapState<V> extends ElementState<V> implements MapState<V> {
  get(key: string): V | undefined {
    return this.elements?.get(key);
  }

  put(key: string, value: V): void {
    this.set(key, this.own(value) as V, false);
  }

  has(key: string): boolean {
    return this.elements?.has(key) ?? false;
  }

  remove(key: string): void {
    const entry = this.currentEntry;
    if (entry !== undefined) this.delete(entry, key);
  }

  entries(): IterableIterator<[string, V]> {
    return this.cells();
  }

  isEmpty(): boolean {
    return this.elements === undefined;
  }

  restoreRow(row: StateRow): void {
    this.restore(row.name, row.value as V, false);
  }

  removeExpired(): number {
    return 0;
  }

  protected fillRow(value: V, row: StateRow): void {
    row.value = value;
    row.writtenAt = undefined;
  }

  protected valueOf(value: V): unknown {
    return value;
  }

  protected writeCell(value: V, out: ByteWriter): void {
    this.codec.write(out, value);
  }

  protected expiresAt(): number {
    return Infinity;
  }

  protected readCell(from: ByteReader): V {
    return this.codec.read(from) as V;
  }
}
