/**
 * What the heap backend asks of each of its states besides the handle that user code sees: what
 * the log has to hear of a key, what it says of one when it is replayed, and the removal of what has
 * expired.
 */
import type { ByteReader } from '../../core/byte-reader.js';
import type { ByteWriter } from '../../core/byte-writer.js';
import type { Schema } from '../../core/schema.js';
import type { BigCollections } from './big-collections.js';
import type { KeyEntry } from './key-entry.js';
import type { KeyTable } from './key-table.js';
import type { StateRow } from './run-rows.js';

/** Where a state writes what changed of the entry at hand. */
export interface StateChanges {
  /** Filled before each call; the key is set already. */
  readonly row: StateRow;
  /** All that the key has is to be written, whatever the log has of it. */
  readonly whole: boolean;
  put(): void;
  /** Everything that the log has of the key in this state is gone; comes before any `put`. */
  clear(): void;
  /** The element `row.name` is gone. */
  remove(): void;
}

/** What the log says of the current key, in its order. */
export interface ReplayedState {
  /** Whether rows after the span of a replay take nothing away; unless given, those of the same run do not. */
  ignoresLater?(inSameRun: boolean): boolean;
  /** Rows of one bucket of one run follow. @param first whether no earlier run had any in that bucket */
  beginRows?(first: boolean): void;
  restoreRow(row: StateRow): void;
  restoreCleared(): void;
  /** The element `row.name`. */
  restoreRemoved(row: StateRow): void;
}

/** A state whose contents are part of the row of a key in the cold store. */
export interface RowState {
  /**
   * Writes what the entry has here, which is something, into the row of its key.
   * @returns when all of it is expired, ms; Infinity: never
   */
  writeRow(entry: KeyEntry, out: ByteWriter): number;
  /** Puts what `writeRow` wrote into an entry that has nothing here. */
  readRow(entry: KeyEntry, from: ByteReader): void;
}

export interface HeapState extends ReplayedState {
  /** undefined: what it has is not part of the row of a key. */
  readonly row: RowState | undefined;
  /**
   * Reads what the next records read first of these entries, one read not waiting for another, so that
   * it is near by then. @returns how many have anything here
   */
  visit(entries: readonly (KeyEntry | undefined)[]): number;
  /** Estimated memory of what the entry has. */
  heapBytes(entry: KeyEntry): number;
  /** The entry leaves memory: what is not part of its row is put elsewhere. */
  unload(entry: KeyEntry): void;
  /**
   * Writes what changed of an entry since it was last written; all of it when that is not known.
   * @param logged whether the log may have rows of the entry in this state
   * @returns whether the log has any now
   */
  save(entry: KeyEntry, logged: boolean, changes: StateChanges): boolean;
  /** @returns how many things were removed, at most `max` */
  removeExpired(entry: KeyEntry, now: number, max: number): number;
  /** Windows that were dropped since the last call and that the log has rows of. */
  takeDropped(): readonly number[];
}

export const NOTHING_DROPPED: readonly number[] = Object.freeze([]);

export interface HeapStateOptions {
  readonly keys: KeyTable;
  /** Of one value, element or accumulator. */
  readonly schema: Schema;
  readonly ttlMs: number | undefined;
  readonly now: () => number;
  /** Where maps go that are too large for memory; undefined: nowhere. */
  readonly big: BigCollections | undefined;
}
