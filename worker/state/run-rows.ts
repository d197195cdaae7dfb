/**
 * The rows of a run: one schema per kind of state, so that values lie in columns. A map is a row per
 * element, a list a row per stretch of elements, everything else a row per key (and window). What
 * is gone has rows too: keys, elements, windows, timers. Fixed once written: what changes here needs
 * a new version of the file.
 */
import {
  arraySchema,
  booleanSchema,
  bytesSchema,
  float64Schema,
  int32Schema,
  recordSchema,
  stringSchema,
  type Schema,
} from '../../core/schema.js';
import { compileRecordCodec, type RecordCodec } from '../../core/record-codec.js';

export const STATE_KINDS = ['value', 'list', 'map', 'reducing', 'aggregating', 'window'] as const;
export type StateKind = (typeof STATE_KINDS)[number];

/** How a file holds keys: as text when all of them are strings, else as their encoded bytes. */
export type KeyColumn = 'string' | 'bytes';

/** One row of a state, reused for all rows; which fields count follows from the kind of state. */
export class StateRow {
  key: string | Uint8Array = '';
  value: unknown;
  /** Key within a map state. */
  name = '';
  /** Start of a window, ms. */
  start = 0;
  /** Processing time (ms) of the last write; undefined without a time to live. */
  writtenAt: number | undefined;
}

/** Without `sequence` it names a timer that is gone. */
export class TimerRow {
  key: string | Uint8Array = '';
  timestamp = 0;
  /** Order of registration among equal timestamps. */
  sequence = 0;
  processingTime = false;
}

/** A window that was dropped with all of its keys in these key groups. */
export interface DroppedRow {
  readonly start: number;
  readonly groupStart: number;
  readonly groupEnd: number;
}

/** No timer of these key groups is left before `bound`, or at it when it is included. */
export interface FiredRow {
  readonly processingTime: boolean;
  readonly bound: number;
  readonly inclusive: boolean;
  readonly groupStart: number;
  readonly groupEnd: number;
}

export interface RowForm {
  readonly kind: StateKind;
  /** Of one value, element or accumulator. */
  readonly schema: Schema;
  /** Whether the time of the last write is kept. */
  readonly ttl: boolean;
}

export function stateRowSchema(form: RowForm, keys: KeyColumn): Schema<StateRow> {
  const fields: Record<string, Schema> = { key: keySchema(keys) };
  if (form.kind === 'map') fields['name'] = stringSchema;
  if (form.kind === 'window') fields['start'] = float64Schema;
  if (form.ttl) fields['writtenAt'] = float64Schema;
  fields['value'] = form.kind === 'list' ? arraySchema(form.schema) : form.schema;
  return recordSchema(fields) as Schema as Schema<StateRow>;
}

/** Codecs of the rows that look alike in every state of every job. */
class RowCodecs {
  readonly #compiled = new Map<string, unknown>();

  cleared(keys: KeyColumn): RecordCodec<StateRow> {
    return this.#codec(`cleared ${keys}`, { key: keySchema(keys) });
  }

  removed(keys: KeyColumn): RecordCodec<StateRow> {
    return this.#codec(`removed ${keys}`, { key: keySchema(keys), name: stringSchema });
  }

  timer(keys: KeyColumn): RecordCodec<TimerRow> {
    return this.#codec(`timer ${keys}`, {
      key: keySchema(keys),
      timestamp: float64Schema,
      sequence: float64Schema,
      processingTime: booleanSchema,
    });
  }

  removedTimer(keys: KeyColumn): RecordCodec<TimerRow> {
    return this.#codec(`removed timer ${keys}`, {
      key: keySchema(keys),
      timestamp: float64Schema,
      processingTime: booleanSchema,
    });
  }

  dropped(): RecordCodec<DroppedRow> {
    return this.#codec('dropped', {
      start: float64Schema,
      groupStart: int32Schema,
      groupEnd: int32Schema,
    });
  }

  fired(): RecordCodec<FiredRow> {
    return this.#codec('fired', {
      processingTime: booleanSchema,
      bound: float64Schema,
      inclusive: booleanSchema,
      groupStart: int32Schema,
      groupEnd: int32Schema,
    });
  }

  #codec<Row>(name: string, fields: Readonly<Record<string, Schema>>): RecordCodec<Row> {
    const known = this.#compiled.get(name) as RecordCodec<Row> | undefined;
    if (known !== undefined) return known;
    const codec = compileRecordCodec(recordSchema(fields) as Schema as Schema<Row>);
    this.#compiled.set(name, codec);
    return codec;
  }
}

export const ROW_CODECS = new RowCodecs();

function keySchema(keys: KeyColumn): Schema {
  return keys === 'string' ? stringSchema : bytesSchema;
}
