/**
 * The record codec of an edge: packs records into chunks on the way out of a record writer and
 * opens them in the input gate of the next task. One codec is compiled per edge and side, so that
 * its call sites stay monomorphic. A chunk is columnar (see record-layout.ts) and carries the event
 * time of each record. Bytes come from the wire: decode must never crash, hang or allocate more
 * than a small multiple of what it was given.
 */
import { compileFunction } from 'node:vm';
import { MillraceError } from './errors.js';
import { generateDecoder } from './record-decoder.js';
import { generateEncoder } from './record-encoder.js';
import { layoutOf } from './record-layout.js';
import { schemaFingerprint } from './schema-json.js';
import { describeValue } from './schema-text.js';
import { validate } from './schema-validate.js';
import type { Schema } from './schema.js';

/** The event time of a record that has none. */
export const NO_TIMESTAMP = -Infinity;

/** Records of one chunk; reuse one object over many chunks to spare allocations. */
export interface DecodedChunk<T> {
  /** Exactly `count` records. */
  values: T[];
  /** Event times in ms, NO_TIMESTAMP where there is none; may be a view of the decoded bytes. */
  timestamps: Float64Array;
  count: number;
}

/** Collects the records of one channel until its owner finds them enough for a chunk. */
export interface RecordBuilder<T> {
  readonly count: number;
  /** Bytes that `finish` would return, without header and a factor of two for non-Latin-1 text. */
  readonly byteEstimate: number;
  /**
   * Adds one record; a record that fails leaves the builder as it was.
   * @param timestamp event time in ms, or NO_TIMESTAMP
   * @throws MillraceError SCHEMA_MISMATCH naming the field, what it expects and what it got
   */
  append(value: T, timestamp: number): void;
  /** The chunk, in an ArrayBuffer of its own that can be transferred; the builder is empty after. */
  finish(): Uint8Array;
}

export interface RecordCodec<T> {
  /** @param capacity records to make room for at first; more are accepted */
  builder(capacity?: number): RecordBuilder<T>;
  /** One chunk of the first `count` values. @throws MillraceError SCHEMA_MISMATCH */
  encode(values: readonly T[], timestamps: ArrayLike<number>, count?: number): Uint8Array;
  /**
   * Opens one chunk into `into` and returns it. `into.timestamps` may share memory with `bytes`.
   * @throws MillraceError WIRE_CORRUPT when the bytes are not a chunk of this schema
   */
  decode(bytes: Uint8Array, into: DecodedChunk<T>): DecodedChunk<T>;
}

export const CHUNK_RECORDS_DEFAULT = 256;

type CreateBuilder<T> = (capacity: number) => RecordBuilder<T>;
type Decode<T> = RecordCodec<T>['decode'];

/** What generated code may call; handed in by name, since it sees no module scope. */
export interface CodecRuntime {
  readonly Buffer: typeof Buffer;
  readonly wide: RegExp;
  readonly mismatch: (value: unknown, timestamp: unknown) => never;
  readonly corrupt: (what: string) => never;
}

/** A fresh codec for records of `schema`; each half takes about a millisecond when it is first used, so keep it. */
export function compileRecordCodec<T>(schema: Schema<T>): RecordCodec<T> {
  const layout = layoutOf(schema);
  const stamp = Number.parseInt(schemaFingerprint(schema).slice(0, 8), 16);
  const runtime: CodecRuntime = {
    Buffer,
    wide: /[\u0100-\uffff]/,
    mismatch: (value, timestamp) => {
      throw mismatchError(schema, value, timestamp);
    },
    corrupt: (what) => {
      throw corruptChunk(what);
    },
  };
  // Most codecs only ever write or only ever read, and compiling is what costs.
  let encoder: CreateBuilder<T> | undefined;
  let decoder: Decode<T> | undefined;
  const create: CreateBuilder<T> = (capacity) => {
    encoder ??= link(generateEncoder(layout, stamp), runtime) as CreateBuilder<T>;
    return encoder(capacity);
  };
  return {
    builder: (capacity = CHUNK_RECORDS_DEFAULT) => create(Math.max(1, capacity)),
    encode: encodeWith(create),
    decode: (bytes, into) => {
      decoder ??= link(generateDecoder(layout, stamp), runtime) as Decode<T>;
      return decoder(bytes, into);
    },
  };
}

/** `encode` in terms of a builder; a chunk that fails half way leaves nothing behind. */
export function encodeWith<T>(create: CreateBuilder<T>): RecordCodec<T>['encode'] {
  let idle: RecordBuilder<T> | undefined;
  return (values, timestamps, count = values.length) => {
    const builder = idle ?? create(Math.max(1, count));
    idle = undefined;
    for (let i = 0; i < count; i++) {
      builder.append(values[i] as T, timestamps[i] ?? NO_TIMESTAMP);
    }
    const chunk = builder.finish();
    idle = builder;
    return chunk;
  };
}

/** Turns generated source into the function it returns. Sources come from our templates only. */
function link(source: string, runtime: CodecRuntime): unknown {
  const factory = compileFunction(source, ['runtime'], { filename: 'millrace:record-codec' });
  return (factory as (runtime: CodecRuntime) => unknown)(runtime);
}

function mismatchError(schema: Schema, value: unknown, timestamp: unknown): MillraceError {
  const found =
    validate(schema, value) ??
    (typeof timestamp !== 'number' || Number.isNaN(timestamp)
      ? `event time: expected a number, got ${describeValue(timestamp)}`
      : 'value: changed while it was being encoded');
  return new MillraceError(
    'SCHEMA_MISMATCH',
    `${found}; emit what the stream's schema declares, or correct the schema`,
  );
}

export function corruptChunk(what: string): MillraceError {
  return new MillraceError(
    'WIRE_CORRUPT',
    `chunk of records: ${what}; the task restarts from the last checkpoint, check that both sides run one version`,
  );
}
