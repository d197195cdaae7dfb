/** Aggregating state in memory: inputs go into an accumulator, the result is made when it is read. */
import type { AggregatingState, AggregatingStateDescriptor } from '../../api/state.js';
import type { HeapStateOptions } from './heap-state.js';
import { SlotState } from './slot-state.js';

export type AggregateOf<I, A, O> = Pick<
  AggregatingStateDescriptor<I, A, O>,
  'createAccumulator' | 'add' | 'getResult'
>;

export class HeapAggregatingState<I, A, O> extends SlotState implements AggregatingState<I, O> {
  readonly #aggregate: AggregateOf<I, A, O>;

  constructor(options: HeapStateOptions, aggregate: AggregateOf<I, A, O>) {
    super(options);
    this.#aggregate = aggregate;
  }

  get(): O | undefined {
    const accumulator = this.slot.get() as A | undefined;
    return accumulator === undefined ? undefined : this.#aggregate.getResult(accumulator);
  }

  add(input: I): void {
    const stored = this.slot.get() as A | undefined;
    const added = this.#aggregate.add(stored ?? this.#aggregate.createAccumulator(), input);
    if (added === undefined) this.slot.clear();
    else this.slot.put(this.own(added));
  }
}
