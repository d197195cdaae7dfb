/**
 * The part that both map states share: one set of elements per key, which is no entry while it is
 * empty, so that a key whose last element was removed leaves nothing behind. It must never look into
 * what an element is kept in.
 */
import { slotBit, type KeyEntry, type KeyTable } from './key-table.js';
import { MapElements } from './map-elements.js';
import {
  NOTHING_DROPPED,
  type MemoryState,
  type MemoryStateOptions,
  type StateChanges,
} from './memory-state.js';
import { flatString, ownValueOf, type OwnValue } from './own-value.js';
import type { StateRow } from './run-rows.js';

export abstract class ElementState<C> implements MemoryState {
  readonly #keys: KeyTable;
  readonly #index: number;
  readonly #bit: number;
  readonly #own: OwnValue | undefined;

  constructor({ keys, schema }: MemoryStateOptions) {
    this.#keys = keys;
    this.#index = keys.addSlot();
    this.#bit = slotBit(this.#index);
    this.#own = ownValueOf(schema);
  }

  clear(): void {
    const entry = this.#keys.current;
    if (entry === undefined || this.elementsOf(entry) === undefined) return;
    this.#keys.mark(entry, this.#bit);
    this.#drop(entry);
  }

  save(entry: KeyEntry, logged: boolean, changes: StateChanges): boolean {
    const elements = this.elementsOf(entry);
    if (elements !== undefined) {
      elements.save(logged, changes, (cell) => this.fillRow(cell, changes.row));
    } else if (logged) {
      changes.clear();
    }
    return elements !== undefined;
  }

  abstract restoreRow(row: StateRow): void;
  abstract removeExpired(entry: KeyEntry, now: number, max: number): number;
  protected abstract fillRow(cell: C, row: StateRow): void;

  restoreCleared(): void {
    const entry = this.#keys.current;
    if (entry !== undefined && this.elementsOf(entry) !== undefined) this.#unlog(entry);
  }

  restoreRemoved(row: StateRow): void {
    const entry = this.#keys.current;
    const elements = entry && this.elementsOf(entry);
    if (entry === undefined || elements?.all.delete(row.name) !== true) return;
    if (elements.all.size === 0) this.#unlog(entry);
  }

  takeDropped(): readonly number[] {
    return NOTHING_DROPPED;
  }

  protected own(value: unknown): unknown {
    return this.#own === undefined ? value : this.#own(value);
  }

  /** Of the current key. */
  protected elements(): ReadonlyMap<string, C> | undefined {
    const entry = this.#keys.current;
    return entry && this.elementsOf(entry)?.all;
  }

  protected get currentEntry(): KeyEntry | undefined {
    return this.#keys.current;
  }

  protected elementsOf(entry: KeyEntry): MapElements<C> | undefined {
    return entry.slots[this.#index] as MapElements<C> | undefined;
  }

  /** Puts an element of the current key; at the end of the order when `last`. */
  protected set(name: string, cell: C, last: boolean): void {
    const entry = this.#keys.demand();
    const elements = this.elementsOf(entry) ?? this.#create(entry);
    elements.track(name, (entry.changed & this.#bit) === 0);
    this.#keys.mark(entry, this.#bit);
    place(elements.all, name, cell, last);
  }

  /** As `set`, for what the log has already. */
  protected restore(name: string, cell: C, last: boolean): void {
    const entry = this.#keys.demand();
    const elements = this.elementsOf(entry) ?? this.#create(entry);
    entry.logged |= this.#bit;
    place(elements.all, name, cell, last);
  }

  protected delete(entry: KeyEntry, name: string): void {
    const elements = this.elementsOf(entry);
    if (elements?.all.has(name) !== true) return;
    elements.track(name, (entry.changed & this.#bit) === 0);
    this.#keys.mark(entry, this.#bit);
    elements.all.delete(name);
    if (elements.all.size === 0) this.#drop(entry);
  }

  #create(entry: KeyEntry): MapElements<C> {
    const elements = new MapElements<C>();
    entry.slots[this.#index] = elements;
    this.#keys.hold(entry);
    return elements;
  }

  #drop(entry: KeyEntry): void {
    entry.slots[this.#index] = undefined;
    this.#keys.release(entry);
  }

  #unlog(entry: KeyEntry): void {
    this.#keys.unlog(entry, this.#index);
    this.#drop(entry);
  }
}

function place<C>(all: Map<string, C>, name: string, cell: C, last: boolean): void {
  if (all.has(name) && !last) {
    all.set(name, cell);
  } else {
    all.delete(name);
    all.set(flatString(name), cell);
  }
}
