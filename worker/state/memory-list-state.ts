/**
 * List state in memory. `get` gives the stored list itself, so that reading allocates nothing. A
 * time to live covers the list as a whole and starts anew with each write. The log gets what was
 * added since it last heard of the list, however long the list is.
 */
import type { ListState } from '../../api/state.js';
import type { ByteReader } from '../../core/byte-reader.js';
import type { ByteWriter } from '../../core/byte-writer.js';
import { arrayBytes } from './heap-size.js';
import type { StateChanges } from './memory-state.js';
import type { StateRow } from './run-rows.js';
import { SlotState } from './slot-state.js';

const EMPTY: readonly never[] = Object.freeze([]);
/** Elements in one row of a run. */
const ROW_ELEMENTS_MAX = 256;

class StoredList<E> {
  /** How many of the elements, from the first on, the log has. */
  logged = 0;

  constructor(readonly elements: E[]) {}
}

export class MemoryListState<E> extends SlotState implements ListState<E> {
  get(): readonly E[] {
    return this.#list()?.elements ?? EMPTY;
  }

  add(element: E): void {
    const list = this.#list() ?? new StoredList<E>([]);
    list.elements.push(this.own(element) as E);
    this.slot.put(list);
  }

  addAll(elements: readonly E[]): void {
    if (elements.length === 0) return;
    const list = this.#list() ?? new StoredList<E>([]);
    // The count is taken first, since `elements` may be the stored list.
    const count = elements.length;
    for (let i = 0; i < count; i++) list.elements.push(this.own(elements[i]) as E);
    this.slot.put(list);
  }

  update(elements: readonly E[]): void {
    if (elements.length === 0) this.slot.clear();
    else this.slot.put(new StoredList(elements.map((element) => this.own(element) as E)));
  }

  protected override saveValue(value: unknown, logged: boolean, changes: StateChanges): void {
    const list = value as StoredList<E>;
    const { elements } = list;
    if (changes.whole) list.logged = 0;
    if (list.logged === 0 && logged) changes.clear();
    while (list.logged < elements.length) {
      const end = Math.min(elements.length, list.logged + ROW_ELEMENTS_MAX);
      changes.row.value =
        list.logged === 0 && end === elements.length ? elements : elements.slice(list.logged, end);
      changes.put();
      list.logged = end;
    }
  }

  override restoreRow(row: StateRow): void {
    const added = row.value as E[];
    // Rows of one list: the time of the last one counts for all.
    const list = (this.slot.stored() as StoredList<E> | undefined) ?? new StoredList<E>([]);
    for (const element of added) list.elements.push(element);
    list.logged = list.elements.length;
    this.slot.restore(list, row.writtenAt);
  }

  protected override valueBytes(value: unknown): number {
    return arrayBytes((value as StoredList<E>).elements, this.size);
  }

  protected override writeValue(value: unknown, out: ByteWriter): void {
    const { elements } = value as StoredList<E>;
    out.varint(elements.length);
    for (const element of elements) this.codec.write(out, element);
  }

  /** What is in the cold store is in the log. */
  protected override readValue(from: ByteReader): unknown {
    const list = new StoredList<E>([]);
    for (let left = from.count(); left > 0; left--) list.elements.push(this.codec.read(from) as E);
    list.logged = list.elements.length;
    return list;
  }

  #list(): StoredList<E> | undefined {
    return this.slot.get() as StoredList<E> | undefined;
  }
}
