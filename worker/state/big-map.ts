/**
 * The elements of one key in a map state that are too many to be in memory: each is a row in the cold
 * store, and those in use are here as well. What the log lacks stays here until it is written, so
 * that no checkpoint reads a row. It must never bring in more elements than it is asked for.
 */
import { ByteReader } from '../../core/byte-reader.js';
import { ByteWriter } from '../../core/byte-writer.js';
import type { BigCollection, BigCollections } from './big-collections.js';
import type { ElementPage } from './cold/cold-elements.js';
import { textBytes } from './heap-size.js';
import type { ElementSet, MapElements } from './map-elements.js';
import type { StateChanges } from './heap-state.js';
import { flatString } from './own-value.js';

/** Elements looked at in one trim. */
const TRIM_MAX = 64;
/** An element's place in a Map, and what is known of it. */
const LIVE_BYTES = 100;

/** What a state knows of its cells. */
export interface CellForm<C> {
  write(cell: C, out: ByteWriter): void;
  read(from: ByteReader): C;
  heapBytes(cell: C): number;
  /** ms since the epoch; Infinity: never. */
  expiresAt(cell: C): number;
}

/** What the row of a key says of a big map. */
export interface BigMapHead {
  readonly collection: number;
  readonly size: number;
  /** When all of it is expired, ms since the epoch; Infinity: never. */
  readonly expiresAt: number;
}

class LiveElement<C> {
  /** Whether its row in the cold store, if there is one, is another. */
  stale = true;
  /** Used since a trim came by. */
  referenced = false;
  bytes = 0;

  constructor(public cell: C) {}
}

/** A change that the log lacks. */
interface UnsavedElement<C> {
  /** undefined: it is gone. */
  element: LiveElement<C> | undefined;
  readonly inLog: boolean;
}

export class BigMap<C> implements ElementSet<C>, BigCollection {
  readonly #owner: BigCollections;
  readonly #form: CellForm<C>;
  readonly #collection: number;
  /** In memory, and in the log as they are. */
  readonly #saved = new Map<string, LiveElement<C>>();
  /** Where the search for elements to give up stands. */
  #hand: IterableIterator<[string, LiveElement<C>]> | undefined;
  #unsaved = new Map<string, UnsavedElement<C>>();
  #unsavedBytes = 0;
  /** Whether the log has to forget all that it has, for all elements are unsaved. */
  #rewrites = false;
  /** How often changes were saved: until then, what was removed is known. */
  #saves = 0;
  #dropped = false;
  /** Whether any element in memory may differ from its row in the cold store. */
  #hasStale = false;
  #size: number;
  #expiresAt: number;
  readonly #out = new ByteWriter();

  constructor(owner: BigCollections, form: CellForm<C>, head?: BigMapHead) {
    this.#owner = owner;
    this.#form = form;
    this.#collection = head?.collection ?? owner.elements.create();
    this.#size = head?.size ?? 0;
    this.#expiresAt = head?.expiresAt ?? 0;
    owner.join(this);
  }

  /**
   * The same elements as those of a map that has become large.
   * @param changed whether anything of it has changed since the last save
   */
  static of<C>(
    small: MapElements<C>,
    changed: boolean,
    owner: BigCollections,
    form: CellForm<C>,
  ): BigMap<C> {
    const big = new BigMap(owner, form);
    big.#rewrites = changed && small.changed === undefined;
    for (const [name, cell] of small.all) {
      const inLog = changed ? small.changed?.get(name) : undefined;
      if (big.#rewrites) big.#unsave(name, { element: undefined, inLog: false });
      else if (inLog !== undefined) big.#unsave(name, { element: undefined, inLog });
      big.put(name, cell);
    }
    if (!changed || small.changed === undefined) return big;
    for (const [name, inLog] of small.changed) {
      if (!small.all.has(name)) big.#unsave(name, { element: undefined, inLog });
    }
    return big;
  }

  get size(): number {
    return this.#size;
  }

  get(name: string): C | undefined {
    const element = this.#find(name);
    this.#owner.relieve();
    return element?.cell;
  }

  has(name: string): boolean {
    const element = this.#find(name);
    this.#owner.relieve();
    return element !== undefined;
  }

  track(name: string): void {
    if (this.#unsaved.has(name)) return;
    const element = this.#find(name);
    this.#saved.delete(name);
    this.#unsave(flatString(name), { element, inLog: element !== undefined });
  }

  put(name: string, cell: C): void {
    const element = this.#find(name) ?? this.#create(name, cell);
    element.referenced = true;
    this.#update(name, element, cell);
  }

  /** Puts an element that it does not have, without looking for it; the first to leave memory. */
  restore(name: string, cell: C): void {
    this.#update(name, this.#create(name, cell), cell);
  }

  #create(name: string, cell: C): LiveElement<C> {
    const element = new LiveElement(cell);
    this.#size++;
    const unsaved = this.#unsaved.get(name);
    if (unsaved === undefined) this.#saved.set(flatString(name), element);
    else unsaved.element = element;
    return element;
  }

  #update(name: string, element: LiveElement<C>, cell: C): void {
    element.cell = cell;
    element.stale = true;
    this.#hasStale = true;
    this.#expiresAt = Math.max(this.#expiresAt, this.#form.expiresAt(cell));
    this.#measure(name, element);
  }

  delete(name: string): boolean {
    const element = this.#find(name);
    if (element === undefined) return false;
    const unsaved = this.#unsaved.get(name);
    if (unsaved === undefined) {
      this.#saved.delete(name);
    } else {
      unsaved.element = undefined;
      this.#countUnsaved(-element.bytes);
    }
    this.#owner.count(-element.bytes);
    this.#owner.elements.delete(this.#collection, nameBytes(name));
    this.#size--;
    return true;
  }

  /** In order of names; elements put meanwhile are met or not met. */
  *entries(): IterableIterator<[string, C]> {
    let after: Uint8Array | undefined;
    let page: ElementPage;
    do {
      this.#storeAll();
      page = this.#owner.elements.page(this.#collection, after);
      const saves = this.#saves;
      for (const { name: bytes, contents } of page.elements) {
        // What the page has of an element may be out of date: it was removed or left memory since.
        if (saves !== this.#saves) break;
        after = bytes;
        const name = new ByteReader(bytes).text();
        const unsaved = this.#unsaved.get(name);
        const element = unsaved === undefined ? this.#saved.get(name) : unsaved.element;
        if (element !== undefined) yield [name, element.cell];
        else if (unsaved === undefined) yield [name, this.#form.read(new ByteReader(contents))];
        if (this.#dropped) return;
      }
      if (saves !== this.#saves) page = { ...page, more: true };
    } while (page.more);
  }

  save(logged: boolean, changes: StateChanges, fill: (cell: C) => void): void {
    const { row } = changes;
    if (this.#rewrites && logged) changes.clear();
    for (const [name, { element, inLog }] of this.#unsaved) {
      row.name = name;
      if (element !== undefined) {
        fill(element.cell);
        changes.put();
      } else if (inLog) {
        changes.remove();
      }
    }
    const written = this.#unsaved;
    this.#forgetUnsaved();
    for (const [name, { element }] of written) {
      if (element !== undefined) this.#saved.set(name, element);
    }
    this.#rewrites = false;
    this.#saves++;
  }

  drop(): void {
    this.#dropped = true;
    for (const { element } of this.#unsaved.values()) this.#owner.count(-(element?.bytes ?? 0));
    this.#forgetUnsaved();
    this.#release();
    this.#owner.elements.drop(this.#collection, this.#size);
  }

  trim(): boolean {
    let visits = 0;
    while (visits < TRIM_MAX) {
      // An iterator that began anew would pass by all that has left since the Map last grew.
      this.#hand ??= this.#saved.entries();
      const next = this.#hand.next();
      if (next.done === true) {
        this.#hand = undefined;
        if (visits > 0 || this.#saved.size === 0) break;
        continue;
      }
      visits++;
      const [name, element] = next.value;
      if (element.referenced) {
        element.referenced = false;
        continue;
      }
      this.#saved.delete(name);
      this.#store(name, element);
      this.#owner.count(-element.bytes);
    }
    return visits > 0;
  }

  get head(): BigMapHead {
    return { collection: this.#collection, size: this.#size, expiresAt: this.#expiresAt };
  }

  /** All of it leaves memory, since its key does; nothing is unsaved. */
  unload(): void {
    this.#storeAll();
    this.#release();
  }

  #find(name: string): LiveElement<C> | undefined {
    const unsaved = this.#unsaved.get(name);
    const live = unsaved === undefined ? this.#saved.get(name) : unsaved.element;
    if (live !== undefined || unsaved !== undefined) {
      if (live !== undefined) live.referenced = true;
      return live;
    }
    const contents = this.#owner.elements.get(this.#collection, nameBytes(name));
    if (contents === undefined) return undefined;
    const element = new LiveElement(this.#form.read(new ByteReader(contents)));
    element.stale = false;
    element.referenced = true;
    this.#saved.set(flatString(name), element);
    this.#measure(name, element);
    return element;
  }

  #storeAll(): void {
    if (!this.#hasStale) return;
    this.#hasStale = false;
    for (const [name, element] of this.#saved) this.#store(name, element);
    for (const [name, { element }] of this.#unsaved) {
      if (element !== undefined) this.#store(name, element);
    }
  }

  #store(name: string, element: LiveElement<C>): void {
    if (!element.stale) return;
    const out = this.#out;
    out.reset();
    this.#form.write(element.cell, out);
    const expiresAt = this.#form.expiresAt(element.cell);
    this.#owner.elements.put(
      this.#collection,
      nameBytes(name),
      out.take(),
      expiresAt < Infinity ? expiresAt : undefined,
    );
    element.stale = false;
  }

  #measure(name: string, element: LiveElement<C>): void {
    const bytes = LIVE_BYTES + textBytes(name) + this.#form.heapBytes(element.cell);
    this.#owner.count(bytes - element.bytes);
    if (this.#unsaved.has(name)) this.#countUnsaved(bytes - element.bytes);
    element.bytes = bytes;
  }

  #unsave(name: string, unsaved: UnsavedElement<C>): void {
    this.#unsaved.set(name, unsaved);
    this.#owner.countUnsaved(1, 0);
    this.#countUnsaved(unsaved.element?.bytes ?? 0);
  }

  #countUnsaved(bytes: number): void {
    this.#unsavedBytes += bytes;
    this.#owner.countUnsaved(0, bytes);
  }

  #forgetUnsaved(): void {
    this.#owner.countUnsaved(-this.#unsaved.size, -this.#unsavedBytes);
    this.#unsavedBytes = 0;
    this.#unsaved = new Map();
  }

  #release(): void {
    for (const { bytes } of this.#saved.values()) this.#owner.count(-bytes);
    this.#saved.clear();
    this.#owner.leave(this);
  }
}

function nameBytes(name: string): Uint8Array {
  const out = new ByteWriter();
  out.text(name);
  return out.take();
}
