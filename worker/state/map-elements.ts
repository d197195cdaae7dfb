/**
 * The elements of one key in a map state, and what of them the log has not heard of. A small map is
 * rewritten whole, which costs less than remembering names; a large one by its changed elements, so
 * that one change among a million costs one row.
 */
import type { StateChanges } from './heap-state.js';
import { flatString } from './own-value.js';

/** Elements up to which a changed map is written whole. */
const WHOLE_MAX = 16;

/** What a map state has of one key, wherever it is. */
export interface ElementSet<C> {
  /** How many there are; more than that once elements expire by themselves. */
  readonly size: number;
  get(name: string): C | undefined;
  has(name: string): boolean;
  entries(): IterableIterator<[string, C]>;
  /**
   * An element is about to be put or removed, which the log has to hear of.
   * @param first whether nothing has changed since the last save
   */
  track(name: string, first: boolean): void;
  /** @param last whether it comes last in the order from then on, where there is one */
  put(name: string, cell: C, last: boolean): void;
  /** @returns whether there was such an element */
  delete(name: string): boolean;
  /** @param fill puts a cell into the row */
  save(logged: boolean, changes: StateChanges, fill: (cell: C) => void): void;
  /** All elements at once are gone. */
  drop(): void;
}

export class MapElements<C> implements ElementSet<C> {
  readonly all = new Map<string, C>();
  /** Changed names, and whether the log has them; undefined while a change means all elements. */
  #changed: Map<string, boolean> | undefined;

  get size(): number {
    return this.all.size;
  }

  get(name: string): C | undefined {
    return this.all.get(name);
  }

  has(name: string): boolean {
    return this.all.has(name);
  }

  entries(): IterableIterator<[string, C]> {
    return this.all.entries();
  }

  track(name: string, first: boolean): void {
    if (first && this.all.size > WHOLE_MAX) this.#changed = new Map();
    if (this.#changed?.has(name) === false) this.#changed.set(name, this.all.has(name));
  }

  put(name: string, cell: C, last: boolean): void {
    if (this.all.has(name) && !last) {
      this.all.set(name, cell);
    } else {
      this.all.delete(name);
      this.all.set(flatString(name), cell);
    }
  }

  delete(name: string): boolean {
    return this.all.delete(name);
  }

  save(logged: boolean, changes: StateChanges, fill: (cell: C) => void): void {
    const { row } = changes;
    if (this.#changed === undefined || changes.whole) {
      this.#changed = undefined;
      if (logged) changes.clear();
      for (const [name, cell] of this.all) {
        row.name = name;
        fill(cell);
        changes.put();
      }
      return;
    }
    for (const [name, inLog] of this.#changed) {
      row.name = name;
      if (this.all.has(name)) {
        fill(this.all.get(name) as C);
        changes.put();
      } else if (inLog) {
        changes.remove();
      }
    }
    this.#changed = undefined;
  }

  drop(): void {
    // Nothing is anywhere else.
  }

  /** Changed names, and whether the log has them; undefined: any of them may have changed. */
  get changed(): ReadonlyMap<string, boolean> | undefined {
    return this.#changed;
  }
}
