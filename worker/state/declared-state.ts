/** A state as its owner knows it: declaration, contents, and the codec of its rows. */
import { compileRecordCodec, type RecordCodec } from '../../core/record-codec.js';
import { schemaToJson } from '../../core/schema-json.js';
import type { HeapState, ReplayedState } from './heap-state.js';
import type { StateForm } from './run-file.js';
import { stateRowSchema, type KeyColumn, type RowForm, type StateRow } from './run-rows.js';

export class DeclaredState<S extends ReplayedState = HeapState> {
  readonly json: StateForm;
  readonly #codecs = new Map<KeyColumn, RecordCodec<StateRow>>();

  constructor(
    readonly name: string,
    readonly form: RowForm,
    ttlMs: number | undefined,
    readonly state: S,
  ) {
    const { kind, schema } = form;
    this.json = { name, kind, schema: schemaToJson(schema), ttlMs: ttlMs ?? null };
  }

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
