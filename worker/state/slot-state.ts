/**
 * The part that value, list, reducing and aggregating state share: one slot per key that turns into
 * one row of a run.
 */
import type { KeyEntry } from './key-table.js';
import {
  NOTHING_DROPPED,
  type MemoryState,
  type MemoryStateOptions,
  type StateChanges,
} from './memory-state.js';
import { ownValueOf, type OwnValue } from './own-value.js';
import type { StateRow } from './run-rows.js';
import { stateSlot, type StateSlot } from './state-slot.js';

export abstract class SlotState implements MemoryState {
  protected readonly slot: StateSlot;
  readonly #own: OwnValue | undefined;

  constructor(options: MemoryStateOptions) {
    this.slot = stateSlot(options);
    this.#own = ownValueOf(options.schema);
  }

  protected own(value: unknown): unknown {
    return this.#own === undefined ? value : this.#own(value);
  }

  clear(): void {
    this.slot.clear();
  }

  save(entry: KeyEntry, logged: boolean, changes: StateChanges): boolean {
    const value = this.slot.of(entry);
    if (value === undefined) {
      if (logged) changes.clear();
      return false;
    }
    changes.row.writtenAt = this.slot.writtenAt(entry);
    this.saveValue(value, logged, changes);
    return true;
  }

  /** Writes what the slot has; the time of its last write is in the row already. */
  protected saveValue(value: unknown, _logged: boolean, changes: StateChanges): void {
    changes.row.value = value;
    changes.put();
  }

  restoreRow(row: StateRow): void {
    this.slot.restore(row.value, row.writtenAt);
  }

  restoreCleared(): void {
    this.slot.restore(undefined, undefined);
  }

  restoreRemoved(): void {
    // There are no elements: a slot is cleared as a whole.
  }

  removeExpired(entry: KeyEntry, now: number, max: number): number {
    return this.slot.removeExpired(entry, now, max);
  }

  takeDropped(): readonly number[] {
    return NOTHING_DROPPED;
  }
}
