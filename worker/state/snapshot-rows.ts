/**
 * The rows of a snapshot: one schema per kind of state, so that a snapshot's values lie in columns.
 * A map is a row per element, everything else a row per key (and window). Fixed once written: what
 * changes here needs a new version of the file.
 */
import {
  arraySchema,
  booleanSchema,
  bytesSchema,
  float64Schema,
  recordSchema,
  stringSchema,
  type Schema,
} from '../../core/schema.js';

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

export class TimerRow {
  key: string | Uint8Array = '';
  timestamp = 0;
  /** Order of registration among equal timestamps. */
  sequence = 0;
  processingTime = false;
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

export function timerRowSchema(keys: KeyColumn): Schema<TimerRow> {
  return recordSchema({
    key: keySchema(keys),
    timestamp: float64Schema,
    sequence: float64Schema,
    processingTime: booleanSchema,
  }) as Schema as Schema<TimerRow>;
}

function keySchema(keys: KeyColumn): Schema {
  return keys === 'string' ? stringSchema : bytesSchema;
}
