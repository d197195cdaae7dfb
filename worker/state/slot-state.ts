/**
 * The part that value, list, reducing and aggregating state share: one slot per key that turns into
 * one row of a run.
 */
import type { ByteReader } from '../../core/byte-reader.js';
import type { ByteWriter } from '../../core/byte-writer.js';
import { compileValueCodec, type ValueCodec } from '../../core/value-codec.js';
import { heapSizeOf, type HeapSize } from './heap-size.js';
import type { KeyEntry } from './key-entry.js';
import {
  NOTHING_DROPPED,
  type HeapState,
  type HeapStateOptions,
  type RowState,
  type StateChanges,
} from './heap-state.js';
import { ownValueOf, type OwnValue } from './own-value.js';
import type { StateRow } from './run-rows.js';
import { stateSlot, type StateSlot } from './state-slot.js';

export abstract class SlotState implements HeapState, RowState {
  readonly row: RowState = this;
  protected readonly slot: StateSlot;
  /** Of one value or element. */
  protected readonly codec: ValueCodec<unknown>;
  protected readonly size: HeapSize;
  readonly #ttlMs: number | undefined;
  readonly #own: OwnValue | undefined;

  /** @param onGone is given what the slot had once that is cleared or expired, in memory */
  constructor(options: HeapStateOptions, onGone?: (value: unknown) => void) {
    const { keys, schema, ttlMs, now } = options;
    this.slot = stateSlot({ keys, ttlMs, now, onGone });
    this.codec = compileValueCodec(schema);
    this.size = heapSizeOf(schema);
    this.#ttlMs = ttlMs;
    this.#own = ownValueOf(schema);
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

  visit(entries: readonly (KeyEntry | undefined)[]): number {
    let filled = 0;
    for (const entry of entries) {
      if (entry !== undefined && typeof this.slot.of(entry) === 'object') filled++;
    }
    return filled;
  }

  heapBytes(entry: KeyEntry): number {
    return this.valueBytes(this.slot.of(entry));
  }

  writeRow(entry: KeyEntry, out: ByteWriter): number {
    const writtenAt = this.slot.writtenAt(entry);
    if (writtenAt !== undefined) out.float64(writtenAt);
    this.writeValue(this.slot.of(entry), out);
    return this.expiresAt(entry);
  }

  readRow(entry: KeyEntry, from: ByteReader): void {
    const writtenAt = this.#ttlMs === undefined ? undefined : from.float64();
    this.slot.load(entry, this.readValue(from), writtenAt);
  }

  unload(_entry: KeyEntry): void {
    // All of it is in the row.
  }

  /** ms; Infinity: never. */
  protected expiresAt(entry: KeyEntry): number {
    const writtenAt = this.slot.writtenAt(entry);
    return writtenAt === undefined || this.#ttlMs === undefined
      ? Infinity
      : writtenAt + this.#ttlMs;
  }

  /** Estimated memory of what the slot has. */
  protected valueBytes(value: unknown): number {
    return this.size(value);
  }

  protected writeValue(value: unknown, out: ByteWriter): void {
    this.codec.write(out, value);
  }

  protected readValue(from: ByteReader): unknown {
    return this.codec.read(from);
  }
}
