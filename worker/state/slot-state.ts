/**
 * The part that value, list, reducing and aggregating state share: one slot per key that turns into
 * one row of a snapshot.
 */
import type { KeyEntry } from './key-table.js';
import type { MemoryState, MemoryStateOptions } from './memory-state.js';
import { ownValueOf, type OwnValue } from './own-value.js';
import { stateSlot, type StateSlot } from './state-slot.js';
import type { StateRow } from './snapshot-rows.js';

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

  eachRow(entry: KeyEntry, row: StateRow, emit: () => void): void {
    row.value = this.slot.of(entry);
    if (row.value === undefined) return;
    row.writtenAt = this.slot.writtenAt(entry);
    emit();
  }

  restoreRow(row: StateRow): void {
    if (row.value !== undefined) this.slot.restore(row.value, row.writtenAt);
  }

  removeExpired(entry: KeyEntry, now: number, max: number): number {
    return this.slot.removeExpired(entry, now, max);
  }
}
