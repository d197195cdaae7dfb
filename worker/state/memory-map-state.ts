/**
 * Map state in memory without a time to live: one Map per key. An empty map is no entry, so that
 * a key whose last element was removed leaves nothing behind.
 */
import type { MapState } from '../../api/state.js';
import type { KeyEntry, KeyTable } from './key-table.js';
import type { MemoryState, MemoryStateOptions } from './memory-state.js';
import { flatString, ownValueOf, type OwnValue } from './own-value.js';
import type { StateRow } from './snapshot-rows.js';

export class MemoryMapState<V> implements MapState<V>, MemoryState {
  readonly #keys: KeyTable;
  readonly #index: number;
  readonly #own: OwnValue | undefined;

  constructor({ keys, schema }: MemoryStateOptions) {
    this.#keys = keys;
    this.#index = keys.addSlot();
    this.#own = ownValueOf(schema);
  }

  get(key: string): V | undefined {
    return this.#map()?.get(key);
  }

  put(key: string, value: V): void {
    const owned = this.#own === undefined ? value : (this.#own(value) as V);
    const map = this.#map() ?? this.#create();
    if (map.has(key)) map.set(key, owned);
    else map.set(flatString(key), owned);
  }

  has(key: string): boolean {
    return this.#map()?.has(key) ?? false;
  }

  remove(key: string): void {
    const map = this.#map();
    if (map?.delete(key) === true && map.size === 0) this.clear();
  }

  entries(): IterableIterator<[string, V]> {
    return (this.#map() ?? new Map<string, V>()).entries();
  }

  isEmpty(): boolean {
    return this.#map() === undefined;
  }

  clear(): void {
    const entry = this.#keys.current;
    if (entry?.slots[this.#index] === undefined) return;
    entry.slots[this.#index] = undefined;
    this.#keys.release(entry);
  }

  eachRow(entry: KeyEntry, row: StateRow, emit: () => void): void {
    const map = entry.slots[this.#index] as Map<string, V> | undefined;
    if (map === undefined) return;
    for (const [name, value] of map) {
      row.name = name;
      row.value = value;
      row.writtenAt = undefined;
      emit();
    }
  }

  restoreRow(row: StateRow): void {
    (this.#map() ?? this.#create()).set(row.name, row.value as V);
  }

  removeExpired(): number {
    return 0;
  }

  #map(): Map<string, V> | undefined {
    return this.#keys.current?.slots[this.#index] as Map<string, V> | undefined;
  }

  #create(): Map<string, V> {
    const entry = this.#keys.demand();
    const map = new Map<string, V>();
    entry.slots[this.#index] = map;
    this.#keys.hold(entry);
    return map;
  }
}
