/** Value state in memory. */
import type { ValueState } from '../../api/state.js';
import type { ByteReader } from '../../core/byte-reader.js';
import type { ByteWriter } from '../../core/byte-writer.js';
import type { HeapStateOptions, StateChanges } from './heap-state.js';
import type { StateRow } from './run-rows.js';
import { SlotState } from './slot-state.js';
import { compileStoredRecord, type StoredRecord } from './stored-record.js';

export class HeapValueState<V> extends SlotState implements ValueState<V> {
  /** undefined: what is stored is the object itself, so a change of it shows at once. */
  readonly #record: StoredRecord | undefined;

  constructor(options: HeapStateOptions) {
    super(options);
    this.#record = compileStoredRecord(options.schema);
  }

  value(): V | undefined {
    return this.#load(this.slot.get()) as V | undefined;
  }

  /** undefined clears, as null does in Flink. */
  update(value: V): void {
    if (value === undefined) this.slot.clear();
    else if (this.#record === undefined) this.slot.put(this.own(value));
    else this.slot.put(this.#record.store(this.slot.get(), value));
  }

  override restoreRow(row: StateRow): void {
    this.slot.restore(this.#stored(row.value), row.writtenAt);
  }

  protected override saveValue(value: unknown, _logged: boolean, changes: StateChanges): void {
    changes.row.value = this.#load(value);
    changes.put();
  }

  protected override valueBytes(value: unknown): number {
    return this.size(this.#load(value));
  }

  protected override writeValue(value: unknown, out: ByteWriter): void {
    this.codec.write(out, this.#load(value));
  }

  protected override readValue(from: ByteReader): unknown {
    return this.#stored(this.codec.read(from));
  }

  #load(stored: unknown): unknown {
    return stored === undefined || this.#record === undefined ? stored : this.#record.load(stored);
  }

  #stored(value: unknown): unknown {
    return this.#record === undefined ? value : this.#record.store(undefined, value);
  }
}
