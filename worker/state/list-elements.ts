/**
 * The elements of one key in a list state, and how many of them the log has: it gets what was added
 * since it last heard of the list, however long the list is.
 */
import type { StateChanges } from './heap-state.js';

/** Elements in one row of a run. */
export const ROW_ELEMENTS_MAX = 256;

/** What a list state has of one key, wherever it is. */
export interface ElementList<E> {
  /** May be gone through any number of times. */
  readonly elements: Iterable<E>;
  add(element: E): void;
  /** As `add`, for what the log has already. */
  restore(element: E): void;
  /** @param logged whether the log may have elements of another list in its place */
  save(logged: boolean, changes: StateChanges): void;
  /** Nobody asks for this list again. */
  drop(): void;
}

export class ListElements<E> implements ElementList<E> {
  /** How many of the elements, from the first on, the log has. */
  #logged = 0;

  constructor(readonly elements: E[]) {}

  get logged(): number {
    return this.#logged;
  }

  add(element: E): void {
    this.elements.push(element);
  }

  restore(element: E): void {
    this.elements.push(element);
    this.#logged = this.elements.length;
  }

  save(logged: boolean, changes: StateChanges): void {
    const { elements } = this;
    if (changes.whole) this.#logged = 0;
    if (this.#logged === 0 && logged) changes.clear();
    while (this.#logged < elements.length) {
      const end = Math.min(elements.length, this.#logged + ROW_ELEMENTS_MAX);
      changes.row.value =
        this.#logged === 0 && end === elements.length
          ? elements
          : elements.slice(this.#logged, end);
      changes.put();
      this.#logged = end;
    }
  }

  drop(): void {
    // Nothing is anywhere else.
  }
}
