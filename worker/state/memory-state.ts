/**
 * What the memory backend asks of each of its states besides the handle that user code sees: its
 * contents as rows, for snapshots, and the removal of what has expired.
 */
import type { Schema } from '../../core/schema.js';
import type { KeyEntry, KeyTable } from './key-table.js';
import type { StateRow } from './snapshot-rows.js';

export interface MemoryState {
  /** Fills `row` and calls `emit` for each thing that the entry has in this state. */
  eachRow(entry: KeyEntry, row: StateRow, emit: () => void): void;
  /** Takes one row into the current key; rows come in the order in which they were emitted. */
  restoreRow(row: StateRow): void;
  /** @returns how many things were removed, at most `max` */
  removeExpired(entry: KeyEntry, now: number, max: number): number;
}

export interface MemoryStateOptions {
  readonly keys: KeyTable;
  /** Of one value, element or accumulator. */
  readonly schema: Schema;
  readonly ttlMs: number | undefined;
  readonly now: () => number;
}
