/**
 * Operator state as it stands in a checkpoint: lists of entries that are redistributed one by one
 * when the parallelism changes. Each kind of operator with such state has its entry schema here, and
 * all of them share one encoding: a chunk of the record codec.
 */
import type { SourceSplit } from '../../api/source.js';
import { isMillraceError, MillraceError } from '../../core/errors.js';
import { compileRecordCodec, NO_TIMESTAMP, type RecordCodec } from '../../core/record-codec.js';
import {
  float64Schema,
  recordSchema,
  stringSchema,
  unionSchema,
  type Schema,
} from '../../core/schema.js';

/** A committable with the checkpoint that it belongs to. */
export interface PendingCommittable {
  readonly checkpointId: number;
  readonly committable: unknown;
}

/** A split with its position. */
export interface SplitState {
  readonly split: SourceSplit;
  /** The greatest timestamp seen in the split; -Infinity: none. */
  readonly maxTimestamp: number;
  /** Watermark of the subtask that read it, so that time never goes back over a restore. */
  readonly watermark: number;
}

/** Of a window operator that keeps fired windows for late records: up to where it has fired. */
export interface WatermarkState {
  readonly watermark: number;
}

export const watermarkStateSchema: Schema<WatermarkState> = recordSchema({
  watermark: float64Schema,
});

/** An entry of a broadcast state. */
export interface BroadcastEntry {
  /** Name of the state. */
  readonly state: string;
  readonly key: string;
  readonly value: unknown;
}

/** @param states schema of the values of each state, at least one */
export function broadcastEntrySchema(
  states: Readonly<Record<string, Schema>>,
): Schema<BroadcastEntry> {
  const variants = Object.entries(states).map(([name, value]) => [
    name,
    recordSchema({ key: stringSchema, value }),
  ]);
  return unionSchema('state', Object.fromEntries(variants)) as Schema<BroadcastEntry>;
}

export function pendingCommittableSchema(committable: Schema<unknown>): Schema<PendingCommittable> {
  return recordSchema({ checkpointId: float64Schema, committable });
}

export function splitStateSchema(split: Schema<SourceSplit>): Schema<SplitState> {
  return recordSchema({ split, maxTimestamp: float64Schema, watermark: float64Schema });
}

/** The entries as one chunk of their codec; event times do not matter here. */
export function encodeEntries<T>(codec: RecordCodec<T>, entries: readonly T[]): Uint8Array {
  return codec.encode(entries, new Float64Array(entries.length).fill(NO_TIMESTAMP));
}

/**
 * @param origin names the operator in errors
 * @throws MillraceError CHECKPOINT_CORRUPT
 */
export function decodeEntries<T>(schema: Schema<T>, bytes: Uint8Array, origin: string): T[] {
  try {
    const chunk = { values: [], timestamps: new Float64Array(0), count: 0 };
    return compileRecordCodec(schema).decode(bytes, chunk).values;
  } catch (error) {
    if (!isMillraceError(error)) throw error;
    throw new MillraceError(
      'CHECKPOINT_CORRUPT',
      `the operator state of "${origin}" cannot be read (${error.message}); restore from another checkpoint`,
      { cause: error },
    );
  }
}
