/**
 * List state in memory, but for large lists over a cold store. `get` gives a small list itself, so
 * that reading allocates nothing. A time to live covers the list as a whole and starts anew with
 * each write.
 */
import type { ListState } from '../../api/state.js';
import type { ByteReader } from '../../core/byte-reader.js';
import type { ByteWriter } from '../../core/byte-writer.js';
import type { BigCollections } from './big-collections.js';
import { BigList, type ElementForm } from './big-list.js';
import { arrayBytes } from './heap-size.js';
import type { KeyEntry } from './key-entry.js';
import { ListElements, type ElementList } from './list-elements.js';
import type { HeapStateOptions, StateChanges } from './heap-state.js';
import type { StateRow } from './run-rows.js';
import { SlotState } from './slot-state.js';

const EMPTY: readonly never[] = Object.freeze([]);
/** In the place of the length of a small list, plus one. */
const BIG_MARK = 0;
/** A big list, but for its elements. */
const BIG_BYTES = 500;

/** Elements that somebody gives. */
interface Given<E> {
  readonly first: readonly E[];
  /** What comes after the first, which are many by themselves then. */
  readonly rest: Iterable<E> | undefined;
}

export class HeapListState<E> extends SlotState implements ListState<E> {
  /** undefined: all elements are in memory. */
  readonly #big: BigCollections | undefined;
  readonly #form: ElementForm<E>;

  constructor(options: HeapStateOptions) {
    super(options, options.big && dropList);
    this.#big = options.big;
    this.#form = {
      write: (element, out) => this.codec.write(out, element),
      read: (from) => this.codec.read(from) as E,
      heapBytes: (element) => this.size(element),
    };
  }

  get(): Iterable<E> {
    return this.#list()?.elements ?? EMPTY;
  }

  add(element: E): void {
    this.#put(this.#added(this.#list() ?? new ListElements<E>([]), element));
  }

  addAll(elements: Iterable<E>): void {
    const given = this.#given(elements);
    if (given.first.length === 0) return;
    this.#addAll(this.#list() ?? new ListElements<E>([]), given);
  }

  update(elements: Iterable<E>): void {
    const given = this.#given(elements);
    if (given.first.length === 0) {
      this.slot.clear();
      return;
    }
    const before = this.slot.stored() as ElementList<E> | undefined;
    try {
      this.#addAll(new ListElements<E>([]), given);
    } finally {
      // Only now: the elements may have come from there.
      if (this.slot.stored() !== before) before?.drop();
    }
  }

  protected override saveValue(value: unknown, logged: boolean, changes: StateChanges): void {
    (value as ElementList<E>).save(logged, changes);
  }

  override restoreRow(row: StateRow): void {
    // Rows of one list: the time of the last one counts for all.
    let list = (this.slot.stored() as ElementList<E> | undefined) ?? new ListElements<E>([]);
    for (const element of row.value as readonly E[]) {
      list.restore(element);
      list = this.#grown(list);
    }
    this.slot.restore(list, row.writtenAt);
    this.#big?.relieve();
  }

  override unload(entry: KeyEntry): void {
    const list = this.slot.of(entry);
    if (list instanceof BigList) list.unload(this.expiresAt(entry));
  }

  protected override valueBytes(value: unknown): number {
    if (value instanceof BigList) return BIG_BYTES + value.heapBytes;
    return arrayBytes((value as ListElements<E>).elements, this.size);
  }

  protected override writeValue(value: unknown, out: ByteWriter): void {
    if (value instanceof BigList) {
      out.varint(BIG_MARK);
      value.write(out);
      return;
    }
    const { elements } = value as ListElements<E>;
    out.varint(elements.length + 1);
    for (const element of elements) this.codec.write(out, element);
  }

  /** What is in the cold store is in the log. */
  protected override readValue(from: ByteReader): unknown {
    const mark = from.varint();
    if (mark === BIG_MARK && this.#big !== undefined) {
      return BigList.read(from, this.#big, this.#form);
    }
    const list = new ListElements<E>([]);
    for (let left = mark - 1; left > 0; left--) list.restore(this.codec.read(from) as E);
    return list;
  }

  /** Takes as many as may be in memory before the list changes that they may come from. */
  #given(elements: Iterable<E>): Given<E> {
    if (Array.isArray(elements)) return { first: elements as readonly E[], rest: undefined };
    if (this.#big === undefined) return { first: [...elements], rest: undefined };
    const first: E[] = [];
    const iterator = elements[Symbol.iterator]();
    for (let next = iterator.next(); next.done !== true; next = iterator.next()) {
      first.push(next.value);
      if (this.#big.isBig(first.length, arrayBytes(first, this.size))) {
        return { first, rest: { [Symbol.iterator]: () => iterator } };
      }
    }
    return { first, rest: undefined };
  }

  #addAll(to: ElementList<E>, { first, rest }: Given<E>): void {
    // A small list grows in place, which those who go through it would see.
    let list = rest === undefined ? to : this.#enlarged(to);
    // The count is taken first, since they may be the stored list.
    const count = first.length;
    for (let i = 0; i < count; i++) list = this.#added(list, first[i] as E);
    this.#put(list);
    for (const element of rest ?? EMPTY) this.#put(this.#added(list, element));
  }

  #added(list: ElementList<E>, element: E): ElementList<E> {
    list.add(this.own(element) as E);
    return this.#grown(list);
  }

  #put(list: ElementList<E>): void {
    this.slot.put(list);
    this.#big?.relieve();
  }

  /** A list that has become large is no longer kept whole. */
  #grown(list: ElementList<E>): ElementList<E> {
    if (this.#big === undefined || !(list instanceof ListElements)) return list;
    const { elements } = list as ListElements<E>;
    const isBig = this.#big.isBig(elements.length, arrayBytes(elements, this.size));
    return isBig ? this.#enlarged(list) : list;
  }

  #enlarged(list: ElementList<E>): ElementList<E> {
    if (this.#big === undefined || !(list instanceof ListElements)) return list;
    return BigList.of(list as ListElements<E>, this.#big, this.#form);
  }

  #list(): ElementList<E> | undefined {
    return this.slot.get() as ElementList<E> | undefined;
  }
}

function dropList(list: unknown): void {
  (list as ElementList<unknown>).drop();
}
