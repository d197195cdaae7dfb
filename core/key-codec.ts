/**
 * Keys as bytes and as hashes. The bytes name a key in state and checkpoints, the hash decides its
 * key group, so neither may ever change. Each encoding begins with a tag of its type and equal
 * bytes mean equal keys: "1", 1, 1n and true are four keys. A record's fields are taken in sorted
 * order, so its key does not depend on how the object was built.
 */
import { ByteReader, corruptBytes } from './byte-reader.js';
import { ByteWriter } from './byte-writer.js';
import { MillraceError } from './errors.js';
import { murmur3Block, murmur3Finish, murmur3Hash32, murmur3Tail } from './murmur3.js';
import { describeValue } from './schema-text.js';

export type ScalarKey = string | number | bigint | boolean;
/** What a stream can be keyed by: a scalar, or a flat tuple or record of scalars. */
export type Key = ScalarKey | readonly ScalarKey[] | { readonly [name: string]: ScalarKey };

const TAG_STRING = 1;
/** A string with a lone surrogate, which UTF-8 can't carry. */
const TAG_STRING_UTF16 = 2;
const TAG_NUMBER = 3;
const TAG_BIGINT = 4;
const TAG_FALSE = 5;
const TAG_TRUE = 6;
const TAG_TUPLE = 7;
const TAG_RECORD = 8;

const LONE_SURROGATE = /\p{Surrogate}/u;
const ASCII = /^[\0-\x7f]*$/;

/** Both are used within one synchronous call only. */
const whole = new ByteWriter();
const part = new ByteWriter();

/**
 * @returns bytes of their own; equal exactly for equal keys (0 and -0 are one key)
 * @throws MillraceError SCHEMA_MISMATCH for NaN, a bigint beyond 64 bits or anything not a Key
 */
export function encodeKey(key: Key): Uint8Array {
  write(key);
  return whole.take();
}

/**
 * Murmur3 (32 bits, seed 0) of the encoded key. ASCII strings and numbers allocate nothing.
 * @returns unsigned 32-bit integer
 * @throws MillraceError SCHEMA_MISMATCH as encodeKey does
 */
export function keyHash(key: Key): number {
  if (typeof key === 'string') {
    const hash = asciiHash(key);
    if (hash >= 0) return hash;
  }
  write(key);
  return murmur3Hash32(whole.peek(), 0, whole.length);
}

/** The hash of the tag and the characters as bytes, or -1 when one of them is not ASCII. */
function asciiHash(key: string): number {
  const length = key.length;
  let hash = 0;
  let seen = 0;
  let block = TAG_STRING;
  let shift = 8;
  for (let i = 0; i < length; i++) {
    const char = key.charCodeAt(i);
    seen |= char;
    block |= char << shift;
    shift += 8;
    if (shift === 32) {
      hash = murmur3Block(hash, block);
      block = 0;
      shift = 0;
    }
  }
  if (seen > 0x7f) return -1;
  if (shift > 0) hash ^= murmur3Tail(block);
  return murmur3Finish(hash, length + 1);
}

function write(key: Key): void {
  whole.reset();
  if (typeof key !== 'object') {
    writeScalar(whole, key, 'key');
  } else if (isTuple(key)) {
    whole.uint8(TAG_TUPLE);
    whole.varint(key.length);
    key.forEach((item, index) => {
      writePart(item, `key[${String(index)}]`);
    });
  } else {
    writeRecord(key);
  }
}

function isTuple(key: Key): key is readonly ScalarKey[] {
  return Array.isArray(key);
}

function writeRecord(key: Readonly<Record<string, ScalarKey>> | null): void {
  if (key === null) throw refused('key', key);
  const prototype: unknown = Object.getPrototypeOf(key);
  if (prototype !== Object.prototype && prototype !== null) throw refused('key', key);
  const names = Object.keys(key)
    .filter((name) => key[name] !== undefined)
    .sort();
  whole.uint8(TAG_RECORD);
  whole.varint(names.length);
  for (const name of names) {
    whole.text(name);
    writePart(key[name], `key field '${name}'`);
  }
}

function writePart(value: unknown, where: string): void {
  part.reset();
  writeScalar(part, value, where);
  whole.varint(part.length);
  whole.raw(part.peek().subarray(0, part.length));
}

function writeScalar(out: ByteWriter, value: unknown, where: string): void {
  switch (typeof value) {
    case 'string':
      writeString(out, value);
      return;
    case 'number':
      if (Number.isNaN(value)) throw refused(where, value);
      out.uint8(TAG_NUMBER);
      out.float64(value + 0);
      return;
    case 'bigint':
      if (BigInt.asIntN(64, value) !== value) throw refused(where, value);
      out.uint8(TAG_BIGINT);
      out.int64(value);
      return;
    case 'boolean':
      out.uint8(value ? TAG_TRUE : TAG_FALSE);
      return;
    default:
      throw refused(where, value);
  }
}

function writeString(out: ByteWriter, value: string): void {
  if (ASCII.test(value)) {
    out.uint8(TAG_STRING);
    out.latin1(value);
  } else if (LONE_SURROGATE.test(value)) {
    out.uint8(TAG_STRING_UTF16);
    out.encoded(value, 'utf16le', value.length * 2);
  } else {
    out.uint8(TAG_STRING);
    out.encoded(value, 'utf8', Buffer.byteLength(value));
  }
}

/** The key that `encodeKey` made the bytes of. @throws MillraceError STORAGE_CORRUPT */
export function decodeKey(bytes: Uint8Array): Key {
  const from = new ByteReader(bytes);
  const tag = from.uint8();
  if (tag !== TAG_TUPLE && tag !== TAG_RECORD) return readScalar(from, tag);
  const count = from.count();
  const tuple: ScalarKey[] = [];
  const record: Record<string, ScalarKey> = {};
  for (let i = 0; i < count; i++) {
    const name = tag === TAG_RECORD ? from.text() : '';
    const inner = new ByteReader(from.raw(from.varint()));
    const value = readScalar(inner, inner.uint8());
    if (tag === TAG_TUPLE) tuple.push(value);
    else defineField(record, name, value);
  }
  from.end();
  return tag === TAG_TUPLE ? tuple : record;
}

/** An own property even where the name is `__proto__`. */
function defineField(record: Record<string, ScalarKey>, name: string, value: ScalarKey): void {
  Object.defineProperty(record, name, {
    value,
    enumerable: true,
    writable: true,
    configurable: true,
  });
}

function readScalar(from: ByteReader, tag: number): ScalarKey {
  const value = readTagged(from, tag);
  from.end();
  return value;
}

function readTagged(from: ByteReader, tag: number): ScalarKey {
  switch (tag) {
    case TAG_STRING:
      return from.encoded('utf8', from.remaining);
    case TAG_STRING_UTF16:
      return from.encoded('utf16le', from.remaining);
    case TAG_NUMBER:
      return from.float64();
    case TAG_BIGINT:
      return from.int64();
    case TAG_FALSE:
      return false;
    case TAG_TRUE:
      return true;
    default:
      throw corruptBytes(`a key of unknown type ${String(tag)}`);
  }
}

function refused(where: string, value: unknown): MillraceError {
  return new MillraceError(
    'SCHEMA_MISMATCH',
    `${where}: ${describeValue(value)} can't be a key; key by a string, number, 64-bit bigint, boolean, or a flat record of those`,
  );
}
