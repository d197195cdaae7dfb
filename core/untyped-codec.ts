/**
 * The codec of a stream without a schema: msgpackr behind the same interface as the record codec,
 * each chunk self-contained. Slower and larger; `plan` says where it is used. It must never change
 * a value in silence, so what msgpackr would flatten (class instances, functions, cycles) is
 * refused; and as its reader trusts its input, a checksum stands before it.
 */
import { Packr } from 'msgpackr';
import { MillraceError } from './errors.js';
import { murmur3Hash32 } from './murmur3.js';
import {
  CHUNK_RECORDS_DEFAULT,
  corruptChunk,
  encodeWith,
  type DecodedChunk,
  type RecordBuilder,
  type RecordCodec,
} from './record-codec.js';
import { describeValue, joinPath } from './schema-text.js';

/** Version, checksum of all that follows, count of records, reserved; then the event times. */
const HEADER_BYTES = 16;
const VERSION = 0x55;
/** Levels of nesting of one value; a cycle meets it as well. */
const DEPTH_MAX = 100;
/** Parts of one value; bounds the walk over a value whose parts share parts. */
const PARTS_MAX = 1_000_000;
/** Bytes a record is taken for until the first chunk has shown what they weigh. */
const RECORD_BYTES_GUESS = 128;

/**
 * Compiles a codec for plain data of any shape: records, arrays, Map, Set, Date, typed arrays,
 * bigint. Of all numbers only -0 changes on the way: it arrives as 0.
 */
export function compileUntypedCodec<T = unknown>(): RecordCodec<T> {
  const packr = new Packr({
    useRecords: true,
    moreTypes: true,
    int64AsType: 'bigint',
    useBigIntExtension: true,
  });
  return {
    builder: () => new UntypedBuilder<T>(packr),
    encode: encodeWith(() => new UntypedBuilder<T>(packr)),
    decode: (bytes, into) => decode(packr, bytes, into),
  };
}

class UntypedBuilder<T> implements RecordBuilder<T> {
  private values: T[] = [];
  private timestamps = new Float64Array(CHUNK_RECORDS_DEFAULT);
  private recordBytes = RECORD_BYTES_GUESS;

  constructor(private readonly packr: Packr) {}

  get count(): number {
    return this.values.length;
  }

  get byteEstimate(): number {
    return this.values.length * this.recordBytes;
  }

  append(value: T, timestamp: number): void {
    checkPlain(value, '', 0, { parts: 0 });
    if (Number.isNaN(timestamp)) throw mismatch('event time: expected a number, got NaN');
    const count = this.values.push(value);
    if (count > this.timestamps.length) {
      const larger = new Float64Array(count * 2);
      larger.set(this.timestamps);
      this.timestamps = larger;
    }
    this.timestamps[count - 1] = timestamp;
  }

  finish(): Uint8Array {
    const count = this.values.length;
    const packed = this.packr.pack(this.values);
    const chunk = new Uint8Array(HEADER_BYTES + count * 8 + packed.length);
    const head = new DataView(chunk.buffer);
    chunk.set(new Uint8Array(this.timestamps.buffer, 0, count * 8), HEADER_BYTES);
    chunk.set(packed, HEADER_BYTES + count * 8);
    head.setUint32(0, VERSION, true);
    head.setUint32(8, count, true);
    head.setUint32(4, murmur3Hash32(chunk.subarray(8)), true);
    if (count > 0) this.recordBytes = chunk.length / count;
    this.values = [];
    return chunk;
  }
}

function decode<T>(packr: Packr, bytes: Uint8Array, into: DecodedChunk<T>): DecodedChunk<T> {
  if (bytes.length < HEADER_BYTES) throw corruptChunk('shorter than its header');
  const head = new DataView(bytes.buffer, bytes.byteOffset, HEADER_BYTES);
  const count = head.getUint32(8, true);
  if (head.getUint32(0, true) !== VERSION) throw corruptChunk('not of a stream without a schema');
  if (head.getUint32(4, true) !== murmur3Hash32(bytes.subarray(8))) {
    throw corruptChunk('its checksum does not match');
  }
  const packedAt = HEADER_BYTES + count * 8;
  if (packedAt > bytes.length) throw corruptChunk('too short for its records');
  const values: unknown = packr.unpack(bytes.subarray(packedAt));
  if (!Array.isArray(values) || values.length !== count) throw corruptChunk('not its records');
  into.values = values as T[];
  into.timestamps = new Float64Array(bytes.slice(HEADER_BYTES, packedAt).buffer);
  into.count = count;
  return into;
}

function checkPlain(value: unknown, path: string, depth: number, seen: { parts: number }): void {
  const type = typeof value;
  if (type === 'function' || type === 'symbol') throw refusal(path, describeValue(value));
  if (typeof value !== 'object' || value === null) return;
  if (depth > DEPTH_MAX) throw refusal(path, 'a circular or very deep value');
  if (++seen.parts > PARTS_MAX) throw refusal(path, 'a value of too many parts');
  if (Array.isArray(value)) {
    value.forEach((item, index) => {
      checkPlain(item, `${path}[${String(index)}]`, depth + 1, seen);
    });
  } else if (value instanceof Map) {
    for (const [key, item] of value as ReadonlyMap<unknown, unknown>) {
      checkPlain(key, path, depth + 1, seen);
      checkPlain(item, joinPath(path, `{${describeValue(key)}}`), depth + 1, seen);
    }
  } else if (value instanceof Set) {
    for (const item of value) checkPlain(item, joinPath(path, '{}'), depth + 1, seen);
  } else if (!(value instanceof Date || ArrayBuffer.isView(value))) {
    const prototype: unknown = Object.getPrototypeOf(value);
    if (prototype !== Object.prototype && prototype !== null) {
      throw refusal(path, describeValue(value));
    }
    for (const [name, item] of Object.entries(value)) {
      checkPlain(item, joinPath(path, name), depth + 1, seen);
    }
  }
}

function refusal(path: string, what: string): MillraceError {
  return mismatch(`${path === '' ? 'value' : `field '${path}'`}: ${what} can't be sent`);
}

function mismatch(what: string): MillraceError {
  return new MillraceError(
    'SCHEMA_MISMATCH',
    `${what} on a stream without a schema; give the operator a schema, or emit plain data`,
  );
}
