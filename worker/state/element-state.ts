/**
 * The part that both map states share: one set of elements per key, which is no entry while it is
 * empty, so that a key whose last element was removed leaves nothing behind. It must never look into
 * what an element is kept in.
 */
import type { ByteReader } from '../../core/byte-reader.js';
import type { ByteWriter } from '../../core/byte-writer.js';
import { compileValueCodec, type ValueCodec } from '../../core/value-codec.js';
import { heapSizeOf, mapBytes, type HeapSize } from './heap-size.js';
import { slotBit, type KeyEntry, type KeyTable } from './key-table.js';
import { MapElements } from './map-elements.js';
import {
  NOTHING_DROPPED,
  type MemoryState,
  type MemoryStateOptions,
  type RowState,
  type StateChanges,
} from './memory-state.js';
import { flatString, ownValueOf, type OwnValue } from './own-value.js';
import type { StateRow } from './run-rows.js';

export abstract class ElementState<C> implements MemoryState, RowState {
  readonly row: RowState = this;
  protected readonly codec: ValueCodec<unknown>;
  protected readonly size: HeapSize;
  readonly #keys: KeyTable;
  readonly #index: number;
  readonly #bit: number;
  readonly #own: OwnValue | undefined;

  constructor({ keys, schema }: MemoryStateOptions) {
    this.#keys = keys;
    this.#index = keys.addSlot();
    this.#bit = slotBit(this.#index);
    this.codec = compileValueCodec(schema);
    this.size = heapSizeOf(schema);
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
  protected abstract valueOf(cell: C): unknown;
  /** @returns when it expires, ms; Infinity: never */
  protected abstract writeCell(cell: C, out: ByteWriter): number;
  protected abstract readCell(from: ByteReader): C;

  restoreCleared(): void {
    const entry = this.#keys.current;
    if (entry !== undefined && this.elementsOf(entry) !== undefined) this.#unlog(entry);
  }

  restoreRemoved(row: StateRow): void {
    const entry = this.#keys.current;
    const elements = entry && this.elementsOf(entry);
    if (entry === undefined || elements?.all.delete(row.name) !== true) return;
    this.#keys.outdate(entry);
    if (elements.all.size === 0) this.#unlog(entry);
  }

  takeDropped(): readonly number[] {
    return NOTHING_DROPPED;
  }

  heapBytes(entry: KeyEntry): number {
    const all = this.elementsOf(entry)?.all;
    const first = all?.entries().next().value;
    if (all === undefined || first === undefined) return 0;
    return mapBytes(all.size, first[0].length, this.size(this.valueOf(first[1])));
  }

  writeRow(entry: KeyEntry, out: ByteWriter): number {
    const all = this.elementsOf(entry)?.all ?? new Map<string, C>();
    let expiresAt = 0;
    out.varint(all.size);
    for (const [name, cell] of all) {
      out.text(name);
      expiresAt = Math.max(expiresAt, this.writeCell(cell, out));
    }
    return expiresAt;
  }

  readRow(entry: KeyEntry, from: ByteReader): void {
    const elements = new MapElements<C>();
    for (let left = from.count(); left > 0; left--) {
      elements.all.set(from.text(), this.readCell(from));
    }
    entry.slots[this.#index] = elements;
  }

  unload(): void {
    // All of it is in the row.
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
    this.#keys.restored(entry, this.#bit);
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
