/**
 * How a record becomes bytes and back, for connectors whose records are bytes: Kafka's keys and values.
 * Decoding and encoding are synchronous and take a batch's bytes at a time; a format must never keep
 * what it was handed beyond the call, except the bytes of `begin` until the next `begin`.
 */
import type { Schema } from '../../api/schema.js';

/** Turns the bytes of one batch into records. One per reader: it may hold caches. */
export interface Decoder<T> {
  /**
   * The bytes that the positions of `decode` point into, until the next call. They are written again then: a record must
   * share no memory with them.
   */
  begin(bytes: Buffer): void;
  /**
   * The record in bytes [start, end).
   * @throws FormatError when they hold no record of the schema
   * @throws SchemaMissing when a schema has to be fetched first; then decode again
   */
  decode(start: number, end: number): T;
}

/** Turns records into bytes. One per writer. */
export interface Encoder<T> {
  /**
   * Writes the record into `target` from `start`.
   * @returns the end, or -1 when the room from `start` may be too small: call again with more
   * @throws MillraceError SCHEMA_MISMATCH naming the field that the schema does not describe
   */
  encode(record: T, target: Buffer, start: number): number;
}

/** Where a format runs. */
export interface FormatContext {
  /** For messages: `topic "orders" value`. */
  readonly subject: string;
  /** Where the records stand, where that is known: a schema registry names its subjects by it. */
  readonly topic?: string;
  readonly part?: 'key' | 'value';
}

/** The half of a format that writing needs. */
export interface EncodingFormat<T> {
  /** For people: `json`, `avro`. */
  readonly name: string;
  readonly schema: Schema<T>;
  /** Resolves when `encode` has what it needs, such as the id of its schema. */
  createEncoder(context: FormatContext): Promise<Encoder<T>>;
  /**
   * Whether records there can be read, or written, as far as a schema registry can tell. To be called
   * at submit; it changes nothing.
   * @throws MillraceError SCHEMA_INCOMPATIBLE saying what differs, SCHEMA_INVALID, ACCESS_DENIED,
   * REGISTRY_UNREACHABLE
   */
  check?(context: FormatContext, use: 'read' | 'write'): Promise<void>;
}

export interface Format<T> extends EncodingFormat<T> {
  createDecoder(context: FormatContext): Decoder<T>;
}

/** Bytes that hold no record; `message` is the reason in words. It becomes a dead letter. */
export class FormatError extends Error {}

/** A schema that is not here yet: await `load`, then decode again. */
export class SchemaMissing extends Error {
  constructor(readonly load: () => Promise<void>) {
    super('the schema of the record has to be fetched first');
  }
}
