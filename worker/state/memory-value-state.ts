/** Value state in memory. `value` gives the stored object itself, so a change shows at once. */
import type { ValueState } from '../../api/state.js';
import { SlotState } from './slot-state.js';

export class MemoryValueState<V> extends SlotState implements ValueState<V> {
  value(): V | undefined {
    return this.slot.get() as V | undefined;
  }

  /** undefined clears, as null does in Flink. */
  update(value: V): void {
    if (value === undefined) this.slot.clear();
    else this.slot.put(this.own(value));
  }
}
