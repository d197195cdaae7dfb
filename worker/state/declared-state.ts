/** A state as its backend knows it: declaration, contents, and the codec of its rows. */
import { compileRecordCodec, type RecordCodec } from '../../core/record-codec.js';
import type { MemoryState } from './memory-state.js';
import { stateRowSchema, type KeyColumn, type RowForm, type StateRow } from './snapshot-rows.js';

export class DeclaredState {
  readonly #codecs = new Map<KeyColumn, RecordCodec<StateRow>>();

  constructor(
    readonly name: string,
    readonly form: RowForm,
    readonly ttlMs: number | undefined,
    readonly state: MemoryState,
  ) {}

  /** Compiled when first needed, then kept. */
  codec(keys: KeyColumn): RecordCodec<StateRow> {
    let codec = this.#codecs.get(keys);
    if (codec === undefined) {
      codec = compileRecordCodec(stateRowSchema(this.form, keys));
      this.#codecs.set(keys, codec);
    }
    return codec;
  }
}
