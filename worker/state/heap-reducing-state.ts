/** Reducing state in memory: each added value is folded into the one that is stored. */
import type { ReducingState } from '../../api/state.js';
import type { HeapStateOptions } from './heap-state.js';
import { SlotState } from './slot-state.js';

export class HeapReducingState<V> extends SlotState implements ReducingState<V> {
  readonly #reduce: (a: V, b: V) => V;

  constructor(options: HeapStateOptions, reduce: (a: V, b: V) => V) {
    super(options);
    this.#reduce = reduce;
  }

  get(): V | undefined {
    return this.slot.get() as V | undefined;
  }

  add(value: V): void {
    const stored = this.get();
    const reduced = stored === undefined ? value : this.#reduce(stored, value);
    if (reduced === undefined) this.slot.clear();
    else this.slot.put(this.own(reduced));
  }
}
