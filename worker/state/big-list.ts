/**
 * The elements of one key in a list state that are too many to be in memory: all but the last few are
 * in the cold store, a row for each stretch of them. Adding touches no row but writes one now and
 * then. What the log lacks stays here as well until it is written, so that no checkpoint reads a row.
 * It must never bring in more of the list than a page.
 */
import { ByteReader } from '../../core/byte-reader.js';
import { ByteWriter } from '../../core/byte-writer.js';
import type { BigCollections } from './big-collections.js';
import { ROW_ELEMENTS_MAX, type ElementList, type ListElements } from './list-elements.js';
import type { StateChanges } from './heap-state.js';

/** Rows that a page brings, unless they are large. */
const PAGE_ROWS = 32;
const POINTER_BYTES = 8;

/** What a state knows of its elements. */
export interface ElementForm<E> {
  write(element: E, out: ByteWriter): void;
  read(from: ByteReader): E;
  heapBytes(element: E): number;
}

export class BigList<E> implements ElementList<E>, Iterable<E> {
  readonly #owner: BigCollections;
  readonly #form: ElementForm<E>;
  readonly #collection: number;
  #rows = 0;
  /** How many elements, from the first on, are in rows. */
  #stored = 0;
  /** Those after them. Replaced, never emptied: somebody may be going through it. */
  #tail: E[] = [];
  #tailBytes = 0;
  /** How many elements, from the first on, the log has. */
  #logged = 0;
  /** At least those that the log lacks: the last so many of all. */
  #unsaved: E[] = [];
  #unsavedBytes = 0;
  /** What of those is in rows too, and in memory for the log alone. */
  #heldBytes = 0;
  readonly #out = new ByteWriter();

  private constructor(owner: BigCollections, form: ElementForm<E>, collection: number) {
    this.#owner = owner;
    this.#form = form;
    this.#collection = collection;
  }

  /** The same elements as those of a list that has become large. */
  static of<E>(small: ListElements<E>, owner: BigCollections, form: ElementForm<E>): BigList<E> {
    const big = new BigList(owner, form, owner.elements.create());
    small.elements.forEach((element, index) => {
      if (index < small.logged) big.restore(element);
      else big.add(element);
    });
    return big;
  }

  /** What `write` wrote; it is in the log. */
  static read<E>(from: ByteReader, owner: BigCollections, form: ElementForm<E>): BigList<E> {
    const big = new BigList(owner, form, from.float64());
    big.#rows = from.float64();
    big.#stored = from.float64();
    big.#logged = big.#stored;
    for (let left = from.varint(); left > 0; left--) big.restore(form.read(from));
    owner.elements.keep(big.#collection);
    return big;
  }

  /** Estimated memory, but for what only the log needs. */
  get heapBytes(): number {
    return this.#tailBytes;
  }

  get elements(): Iterable<E> {
    return this;
  }

  /** The elements that there are when it begins, whatever comes or goes meanwhile. */
  *[Symbol.iterator](): IterableIterator<E> {
    const end = this.#size;
    let position = 0;
    let rows = 0;
    while (rows < this.#rows && position < end) {
      const after = rows === 0 ? undefined : rowName(rows - 1);
      const page = this.#owner.elements.page(this.#collection, after, PAGE_ROWS).elements;
      // The rows of a list that is gone go too, later.
      if (page.length === 0) return;
      rows += page.length;
      for (const { contents } of page) {
        const from = new ByteReader(contents);
        for (let left = from.varint(); left > 0 && position < end; left--) {
          position++;
          yield this.#form.read(from);
        }
      }
    }
    const tail = this.#tail;
    const first = this.#stored;
    for (; position < end; position++) yield tail[position - first] as E;
  }

  add(element: E): void {
    const bytes = this.#bytesOf(element);
    this.#unsaved.push(element);
    this.#unsavedBytes += bytes;
    this.#owner.countUnsaved(1, bytes);
    this.#append(element, bytes);
  }

  restore(element: E): void {
    this.#logged++;
    this.#append(element, this.#bytesOf(element));
  }

  save(logged: boolean, changes: StateChanges): void {
    if (this.#logged === 0 && logged) changes.clear();
    const size = this.#size;
    while (this.#logged < size) {
      const from = this.#unsaved.length - (size - this.#logged);
      const added = this.#unsaved.slice(from, from + ROW_ELEMENTS_MAX);
      changes.row.value = added;
      changes.put();
      this.#logged += added.length;
    }
    this.#forgetUnsaved();
  }

  drop(): void {
    this.#forgetUnsaved();
    this.#owner.elements.drop(this.#collection, this.#rows);
  }

  /** All but its rows, which `read` needs. */
  write(out: ByteWriter): void {
    out.float64(this.#collection);
    out.float64(this.#rows);
    out.float64(this.#stored);
    out.varint(this.#tail.length);
    for (const element of this.#tail) this.#form.write(element, out);
  }

  /** It leaves memory, since its key does. @param expiresAt ms; Infinity: never */
  unload(expiresAt: number): void {
    this.#owner.elements.expire(this.#collection, this.#rows, expiresAt);
  }

  get #size(): number {
    return this.#stored + this.#tail.length;
  }

  #bytesOf(element: E): number {
    return POINTER_BYTES + this.#form.heapBytes(element);
  }

  #append(element: E, bytes: number): void {
    this.#tail.push(element);
    this.#tailBytes += bytes;
    if (this.#owner.isPart(this.#tail.length, this.#tailBytes)) this.#storeTail();
  }

  #storeTail(): void {
    const out = this.#out;
    out.reset();
    out.varint(this.#tail.length);
    for (const element of this.#tail) this.#form.write(element, out);
    this.#owner.elements.put(this.#collection, rowName(this.#rows), out.take());
    this.#rows++;
    this.#stored += this.#tail.length;
    this.#tail = [];
    this.#tailBytes = 0;
    this.#hold(this.#unsavedBytes);
  }

  #forgetUnsaved(): void {
    this.#owner.countUnsaved(-this.#unsaved.length, -this.#unsavedBytes);
    this.#unsaved = [];
    this.#unsavedBytes = 0;
    this.#hold(0);
  }

  #hold(bytes: number): void {
    this.#owner.count(bytes - this.#heldBytes);
    this.#heldBytes = bytes;
  }
}

/** Names sort as the rows do. */
function rowName(row: number): Uint8Array {
  const name = Buffer.allocUnsafe(6);
  name.writeUIntBE(row, 0, 6);
  return name;
}
