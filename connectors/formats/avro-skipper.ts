/** Steps over a value of an Avro type that a record leaves out, which may be recursive as written. */
import { FormatError } from './format.js';
import type { AvroType } from './avro-type.js';
import type { WireReader } from './wire-reader.js';

/** @param depth levels that were entered already */
export type Skipper = (reader: WireReader, depth: number) => void;

/** Deeper values are refused: they would overflow the stack. */
const DEPTH_MAX = 256;

export function compileSkipper(type: AvroType, known = new Map<AvroType, Skipper>()): Skipper {
  const seen = known.get(type);
  if (seen !== undefined) return seen;
  // A type that holds itself finds this one, before what it stands for is made.
  const guarded: Skipper = (reader, depth) => {
    if (depth > DEPTH_MAX) throw new FormatError(`more than ${String(DEPTH_MAX)} levels`);
    skip(reader, depth + 1);
  };
  known.set(type, guarded);
  const skip = skipperOf(type, (inner) => compileSkipper(inner, known));
  return guarded;
}

/** The count of items of the next block of an array or map; 0 ends it. */
export function readBlockCount(reader: WireReader): number {
  let count = reader.zigzag();
  if (count < 0) {
    count = -count;
    reader.zigzagLength();
  }
  if (count > reader.end - reader.at) throw new FormatError('more items than bytes');
  return count;
}

function skipperOf(type: AvroType, inner: (type: AvroType) => Skipper): Skipper {
  switch (type.kind) {
    case 'null':
      return () => undefined;
    case 'boolean':
      return (reader) => reader.skip(1);
    case 'int':
    case 'long':
    case 'timestamp-millis':
    case 'timestamp-micros':
    case 'enum':
      return (reader) => void reader.zigzag();
    case 'float':
      return (reader) => reader.skip(4);
    case 'double':
      return (reader) => reader.skip(8);
    case 'bytes':
    case 'string':
      return (reader) => reader.skip(reader.zigzagLength());
    case 'fixed':
      return (reader) => reader.skip(type.size);
    case 'array':
      return skipBlocks(inner(type.items));
    case 'map': {
      const value = inner(type.values);
      return skipBlocks((reader, depth) => {
        reader.skip(reader.zigzagLength());
        value(reader, depth);
      });
    }
    case 'union': {
      const branches = type.branches.map(inner);
      return (reader, depth) => {
        const branch = branches[reader.zigzag()];
        if (branch === undefined) throw new FormatError('a branch that the union does not have');
        branch(reader, depth);
      };
    }
    case 'record': {
      const fields = type.fields.map((field) => inner(field.type));
      return (reader, depth) => {
        for (const field of fields) field(reader, depth);
      };
    }
  }
}

function skipBlocks(item: Skipper): Skipper {
  return (reader, depth) => {
    for (let count = readBlockCount(reader); count > 0; count = readBlockCount(reader)) {
      for (let index = 0; index < count; index++) item(reader, depth);
    }
  };
}
