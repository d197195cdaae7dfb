/**
 * List state in memory. `get` gives the stored list itself, so that reading allocates nothing. A
 * time to live covers the list as a whole and starts anew with each write.
 */
import type { ListState } from '../../api/state.js';
import { SlotState } from './slot-state.js';

const EMPTY: readonly never[] = Object.freeze([]);

export class MemoryListState<E> extends SlotState implements ListState<E> {
  get(): readonly E[] {
    return this.#list() ?? EMPTY;
  }

  add(element: E): void {
    const list = this.#list() ?? [];
    list.push(this.own(element) as E);
    this.slot.put(list);
  }

  addAll(elements: readonly E[]): void {
    if (elements.length === 0) return;
    const list = this.#list() ?? [];
    // The count is taken first, since `elements` may be the stored list.
    const count = elements.length;
    for (let i = 0; i < count; i++) list.push(this.own(elements[i]) as E);
    this.slot.put(list);
  }

  update(elements: readonly E[]): void {
    if (elements.length === 0) this.slot.clear();
    else this.slot.put(elements.map((element) => this.own(element)));
  }

  #list(): E[] | undefined {
    return this.slot.get() as E[] | undefined;
  }
}
