/**
 * The elements of one key in a map state, and what of them the log has not heard of. A small map is
 * rewritten whole, which costs less than remembering names; a large one by its changed elements, so
 * that one change among a million costs one row.
 */
import type { StateChanges } from './memory-state.js';

/** Elements up to which a changed map is written whole. */
const WHOLE_MAX = 16;

export class MapElements<C> {
  readonly all = new Map<string, C>();
  /** Changed names, and whether the log has them; undefined while a change means all elements. */
  #changed: Map<string, boolean> | undefined;

  /**
   * An element is about to be put or removed.
   * @param first whether nothing has changed since the last save
   */
  track(name: string, first: boolean): void {
    if (first && this.all.size > WHOLE_MAX) this.#changed = new Map();
    if (this.#changed?.has(name) === false) this.#changed.set(name, this.all.has(name));
  }

  /** @param fill puts a cell into the row */
  save(logged: boolean, changes: StateChanges, fill: (cell: C) => void): void {
    const { row } = changes;
    if (this.#changed === undefined) {
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
}
