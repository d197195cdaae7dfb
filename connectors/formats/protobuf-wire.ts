/** Tags of Protobuf's fields, and what carries no schema: fields that nobody reads, and moments. */
import { FormatError } from './format.js';
import type { ProtoType } from './protobuf-type.js';
import type { WireReader } from './wire-reader.js';
import type { WireWriter } from './wire-writer.js';

const WIRE_VARINT = 0;
const WIRE_64 = 1;
export const WIRE_LENGTH = 2;
const WIRE_GROUP = 3;
const WIRE_GROUP_END = 4;
const WIRE_32 = 5;

const WIRE_TYPES = 8;
const TAG_MAX = 2 ** 32 - 1;
/** Groups of former times within each other: more would overflow the stack. */
const GROUPS_MAX = 64;

const MS_PER_SECOND = 1000;
const NANOS_PER_MS = 1_000_000;
const NANOS_MAX = 999_999_999;
const SECONDS_TAG = tagOf(1, WIRE_VARINT);
const NANOS_TAG = tagOf(2, WIRE_VARINT);

export function tagOf(number: number, wireType: number): number {
  return number * WIRE_TYPES + wireType;
}

export function wireTypeOf({ kind }: ProtoType): number {
  switch (kind) {
    case 'double':
    case 'fixed64':
    case 'sfixed64':
      return WIRE_64;
    case 'float':
    case 'fixed32':
    case 'sfixed32':
      return WIRE_32;
    case 'string':
    case 'bytes':
    case 'message':
    case 'timestamp':
      return WIRE_LENGTH;
    default:
      return WIRE_VARINT;
  }
}

/** Steps over the field whose tag was read. @param groups that it stands in */
export function skipField(reader: WireReader, tag: number, groups: number): void {
  const number = Math.floor(tag / WIRE_TYPES);
  const wireType = tag % WIRE_TYPES;
  if (number === 0 || tag > TAG_MAX) {
    throw new FormatError(`a field of number ${String(number)}`);
  }
  switch (wireType) {
    case WIRE_VARINT:
      reader.unsigned();
      return;
    case WIRE_64:
      return reader.skip(8);
    case WIRE_LENGTH:
      return reader.skip(reader.length());
    case WIRE_32:
      return reader.skip(4);
    case WIRE_GROUP: {
      if (groups >= GROUPS_MAX) throw new FormatError(`more than ${String(GROUPS_MAX)} groups`);
      const end = tagOf(number, WIRE_GROUP_END);
      for (let inner = reader.unsigned(); inner !== end; inner = reader.unsigned()) {
        skipField(reader, inner, groups + 1);
      }
      return;
    }
    default:
      throw new FormatError(`field ${String(number)} has the wire type ${String(wireType)}`);
  }
}

/** A google.protobuf.Timestamp as ms, what is finer cut off. */
export function readTimestamp(reader: WireReader): number {
  const length = reader.length();
  const { end } = reader;
  reader.end = reader.at + length;
  let seconds = 0;
  let nanos = 0;
  while (reader.at < reader.end) {
    const tag = reader.unsigned();
    if (tag === SECONDS_TAG) seconds = reader.signed();
    else if (tag === NANOS_TAG) nanos = reader.low32();
    else skipField(reader, tag, 0);
  }
  reader.end = end;
  const ms = seconds * MS_PER_SECOND + Math.floor(nanos / NANOS_PER_MS);
  if (Number.isSafeInteger(ms) && nanos >= 0 && nanos <= NANOS_MAX) return ms;
  throw new FormatError(`a moment of ${String(seconds)} s and ${String(nanos)} ns`);
}

/** @param ms a safe integer */
export function writeTimestamp(writer: WireWriter, ms: number): void {
  const seconds = Math.floor(ms / MS_PER_SECOND);
  const nanos = (ms - seconds * MS_PER_SECOND) * NANOS_PER_MS;
  const start = writer.open();
  if (seconds !== 0) {
    writer.unsigned(SECONDS_TAG);
    writer.signed(seconds);
  }
  if (nanos !== 0) {
    writer.unsigned(NANOS_TAG);
    writer.unsigned(nanos);
  }
  writer.close(start);
}
