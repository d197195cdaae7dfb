/**
 * The part that both map states share: one set of elements per key, which is no entry while it is
 * empty, so that a key whose last element was removed leaves nothing behind. It must never look into
 * what an element is kept in.
 */
import type { ByteReader } from '../../core/byte-reader.js';
import type { ByteWriter } from '../../core/byte-writer.js';
import { compileValueCodec, type ValueCodec } from '../../core/value-codec.js';
import type { BigCollections } from './big-collections.js';
import { BigMap, type CellForm } from './big-map.js';
import { heapSizeOf, mapBytes, type HeapSize } from './heap-size.js';
import type { KeyEntry } from './key-entry.js';
import { slotBit, type KeyTable } from './key-table.js';
import { MapElements, type ElementSet } from './map-elements.js';
import {
  NOTHING_DROPPED,
  type HeapState,
  type HeapStateOptions,
  type RowState,
  type StateChanges,
} from './heap-state.js';
import { ownValueOf, type OwnValue } from './own-value.js';
import type { StateRow } from './run-rows.js';

/** In the place of the count of a map that has any elements. */
const BIG_MARK = 0;
/** A big map, but for its elements. */
const BIG_BYTES = 500;

export abstract class ElementState<C> implements HeapState, RowState {
  readonly row: RowState = this;
  protected readonly codec: ValueCodec<unknown>;
  protected readonly size: HeapSize;
  readonly #keys: KeyTable;
  readonly #index: number;
  readonly #bit: number;
  readonly #own: OwnValue | undefined;
  /** undefined: all elements are in memory. */
  readonly #big: BigCollections | undefined;
  readonly #form: CellForm<C>;
  /** Whether each element that is restored is one more: a run names none twice. */
  #restoresNew = false;

  constructor({ keys, schema, big }: HeapStateOptions) {
    this.#keys = keys;
    this.#index = keys.addSlot();
    this.#bit = slotBit(this.#index);
    this.codec = compileValueCodec(schema);
    this.size = heapSizeOf(schema);
    this.#own = ownValueOf(schema);
    this.#big = big;
    this.#form = {
      write: (cell, out) => this.writeCell(cell, out),
      read: (from) => this.readCell(from),
      heapBytes: (cell) => this.size(this.valueOf(cell)),
      expiresAt: (cell) => this.expiresAt(cell),
    };
  }

  clear(): void {
    const entry = this.#keys.current;
    if (entry === undefined || this.elementsOf(entry) === undefined) return;
    this.deleteAll(entry);
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
  protected abstract writeCell(cell: C, out: ByteWriter): void;
  /** ms; Infinity: never. */
  protected abstract expiresAt(cell: C): number;
  protected abstract readCell(from: ByteReader): C;

  beginRows(first: boolean): void {
    this.#restoresNew = first;
  }

  restoreCleared(): void {
    const entry = this.#keys.current;
    if (entry !== undefined && this.elementsOf(entry) !== undefined) this.#unlog(entry);
  }

  restoreRemoved(row: StateRow): void {
    const entry = this.#keys.current;
    const elements = entry && this.elementsOf(entry);
    if (entry === undefined || elements?.delete(row.name) !== true) return;
    this.#keys.outdate(entry);
    if (elements.size === 0) this.#unlog(entry);
  }

  takeDropped(): readonly number[] {
    return NOTHING_DROPPED;
  }

  visit(entries: readonly (KeyEntry | undefined)[]): number {
    let filled = 0;
    for (const entry of entries) {
      if (entry !== undefined && typeof this.elementsOf(entry) === 'object') filled++;
    }
    return filled;
  }

  heapBytes(entry: KeyEntry): number {
    const elements = this.elementsOf(entry);
    if (isBig(elements)) return BIG_BYTES;
    const first = elements?.entries().next().value as [string, C] | undefined;
    if (elements === undefined || first === undefined) return 0;
    return mapBytes(elements.size, first[0].length, this.size(this.valueOf(first[1])));
  }

  writeRow(entry: KeyEntry, out: ByteWriter): number {
    const elements = this.elementsOf(entry) ?? new MapElements<C>();
    if (isBig(elements)) return writeBig(elements, out);
    let expiresAt = 0;
    out.varint(elements.size);
    for (const [name, cell] of elements.entries()) {
      out.text(name);
      this.writeCell(cell, out);
      expiresAt = Math.max(expiresAt, this.expiresAt(cell));
    }
    return expiresAt;
  }

  readRow(entry: KeyEntry, from: ByteReader): void {
    const count = from.varint();
    entry.slots[this.#index] =
      count === BIG_MARK && this.#big !== undefined
        ? readBig(from, this.#big, this.#form)
        : this.#readElements(count, from);
  }

  unload(entry: KeyEntry): void {
    const elements = this.elementsOf(entry);
    // All of a small one is in the row.
    if (isBig(elements)) elements.unload();
  }

  protected own(value: unknown): unknown {
    return this.#own === undefined ? value : this.#own(value);
  }

  /** Of the current key. */
  protected get elements(): ElementSet<C> | undefined {
    const entry = this.#keys.current;
    return entry && this.elementsOf(entry);
  }

  /** Elements of the current key, while which others may be put and removed. */
  protected cells(): IterableIterator<[string, C]> {
    const { elements } = this;
    if (elements === undefined) return new Map<string, C>().entries();
    // A Map can be gone through while it changes, but not while it makes way for a big one.
    return this.#big === undefined || isBig(elements)
      ? elements.entries()
      : this.#smallCells(elements);
  }

  protected get currentEntry(): KeyEntry | undefined {
    return this.#keys.current;
  }

  protected elementsOf(entry: KeyEntry): ElementSet<C> | undefined {
    return entry.slots[this.#index] as ElementSet<C> | undefined;
  }

  /** Puts an element of the current key; at the end of the order when `last`. */
  protected set(name: string, cell: C, last: boolean): void {
    const entry = this.#keys.demand();
    const elements = this.elementsOf(entry) ?? this.#create(entry);
    elements.track(name, (entry.changed & this.#bit) === 0);
    this.#keys.mark(entry, this.#bit);
    elements.put(name, cell, last);
    if (this.#big !== undefined) this.#grow(entry, name, cell, this.#big);
  }

  /** As `set`, for what the log has already. */
  protected restore(name: string, cell: C, last: boolean): void {
    const entry = this.#keys.demand();
    const elements = this.elementsOf(entry) ?? this.#create(entry);
    this.#keys.restored(entry, this.#bit);
    if (this.#restoresNew && isBig(elements)) elements.restore(name, cell);
    else elements.put(name, cell, last);
    if (this.#big !== undefined) this.#grow(entry, name, cell, this.#big);
  }

  protected delete(entry: KeyEntry, name: string): void {
    const elements = this.elementsOf(entry);
    if (elements?.has(name) !== true) return;
    elements.track(name, (entry.changed & this.#bit) === 0);
    this.#keys.mark(entry, this.#bit);
    elements.delete(name);
    if (elements.size === 0) this.#drop(entry);
  }

  /** All elements of a key at once. */
  protected deleteAll(entry: KeyEntry): void {
    this.#keys.mark(entry, this.#bit);
    this.#drop(entry);
  }

  /** A map that has become large is no longer kept whole. */
  #grow(entry: KeyEntry, name: string, cell: C, big: BigCollections): void {
    const elements = this.elementsOf(entry);
    if (elements instanceof MapElements) {
      // The last element stands for all.
      const bytes = mapBytes(elements.size, name.length, this.#form.heapBytes(cell));
      if (!big.isBig(elements.size, bytes)) return;
      const changed = (entry.changed & this.#bit) !== 0;
      entry.slots[this.#index] = BigMap.of(elements as MapElements<C>, changed, big, this.#form);
    }
    big.relieve();
  }

  *#smallCells(small: ElementSet<C>): IterableIterator<[string, C]> {
    for (const [name, cell] of small.entries()) {
      const now = this.elements;
      if (!isBig(now)) {
        yield [name, cell];
      } else if (now.has(name)) {
        yield [name, now.get(name) as C];
      }
    }
  }

  #readElements(count: number, from: ByteReader): MapElements<C> {
    const elements = new MapElements<C>();
    for (let left = count; left > 0; left--) {
      elements.all.set(from.text(), this.readCell(from));
    }
    return elements;
  }

  #create(entry: KeyEntry): MapElements<C> {
    const elements = new MapElements<C>();
    entry.slots[this.#index] = elements;
    this.#keys.hold(entry);
    return elements;
  }

  #drop(entry: KeyEntry): void {
    this.elementsOf(entry)?.drop();
    entry.slots[this.#index] = undefined;
    this.#keys.release(entry);
  }

  #unlog(entry: KeyEntry): void {
    this.#keys.unlog(entry, this.#index);
    this.#drop(entry);
  }
}

function writeBig<C>(elements: BigMap<C>, out: ByteWriter): number {
  const { collection, size, expiresAt } = elements.head;
  out.varint(BIG_MARK);
  out.float64(collection);
  out.float64(size);
  out.float64(expiresAt);
  return expiresAt;
}

function readBig<C>(from: ByteReader, big: BigCollections, form: CellForm<C>): BigMap<C> {
  const collection = from.float64();
  const size = from.float64();
  return new BigMap(big, form, { collection, size, expiresAt: from.float64() });
}

function isBig<C>(elements: ElementSet<C> | undefined): elements is BigMap<C> {
  return elements instanceof BigMap;
}
