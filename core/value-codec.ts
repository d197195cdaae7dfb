/**
 * The row codec of single values: what keyed state and checkpoints hold. Deterministic: equal
 * values have equal bytes, whatever the order in which a map was filled. Bytes are read with the
 * schema they were written with; another schema needs `evolve` first.
 */
import { ByteReader, corruptBytes } from './byte-reader.js';
import { ByteWriter } from './byte-writer.js';
import { MillraceError } from './errors.js';
import { validate } from './schema-validate.js';
import type { RecordNode, ScalarKind, Schema, SchemaNode, UnionNode } from './schema.js';

export interface ValueCodec<T> {
  /** @returns bytes of their own @throws MillraceError SCHEMA_MISMATCH naming the field */
  encode(value: T): Uint8Array;
  /** @throws MillraceError STORAGE_CORRUPT when the bytes are not a value of this schema */
  decode(bytes: Uint8Array): T;
  /** As `encode`, behind what was written before. @throws MillraceError SCHEMA_MISMATCH */
  write(out: ByteWriter, value: T): void;
  /** As `decode`, of what comes next. @throws MillraceError STORAGE_CORRUPT */
  read(from: ByteReader): T;
}

/** `write` says whether the value fits; every value takes at least one byte. */
interface RowNode {
  write(out: ByteWriter, value: unknown): boolean;
  read(from: ByteReader): unknown;
}

export function compileValueCodec<T>(schema: Schema<T>): ValueCodec<T> {
  const root = rowOf(schema);
  const whole = new ByteWriter();
  const write = (out: ByteWriter, value: T): void => {
    if (root.write(out, value)) return;
    const found = validate(schema, value) ?? 'value: changed while it was being encoded';
    throw new MillraceError(
      'SCHEMA_MISMATCH',
      `${found}; store what the schema declares, or correct the schema`,
    );
  };
  return {
    write,
    read: (from) => root.read(from) as T,
    encode: (value) => {
      whole.reset();
      write(whole, value);
      return whole.take();
    },
    decode: (bytes) => {
      const from = new ByteReader(bytes);
      const value = root.read(from) as T;
      from.end();
      return value;
    },
  };
}

function rowOf(schema: SchemaNode): RowNode {
  switch (schema.kind) {
    case 'array':
      return arrayRow(rowOf(schema.items));
    case 'map':
      return mapRow(rowOf(schema.values));
    case 'optional':
      return optionalRow(rowOf(schema.value));
    case 'literal':
      return literalRow(schema.values);
    case 'record':
      return recordRow(schema);
    case 'union':
      return unionRow(schema);
    default:
      return SCALAR_ROWS[schema.kind];
  }
}

function scalar<T>(
  fits: (value: unknown) => value is T,
  put: (out: ByteWriter, value: T) => void,
  read: (from: ByteReader) => T,
): RowNode {
  return {
    write: (out, value) => {
      if (!fits(value)) return false;
      put(out, value);
      return true;
    },
    read,
  };
}

/** Adding zero turns -0 into 0 where a kind has but one zero. */
const SCALAR_ROWS: Readonly<Record<ScalarKind, RowNode>> = {
  string: scalar(
    (value) => typeof value === 'string',
    (out, value) => {
      out.text(value);
    },
    (from) => from.text(),
  ),
  float64: scalar(
    (value) => typeof value === 'number',
    (out, value) => {
      out.float64(value);
    },
    (from) => from.float64(),
  ),
  int32: scalar(
    (value): value is number => typeof value === 'number' && (value | 0) === value,
    (out, value) => {
      out.int32(value + 0);
    },
    (from) => from.int32(),
  ),
  int64: scalar(
    (value): value is bigint => typeof value === 'bigint' && BigInt.asIntN(64, value) === value,
    (out, value) => {
      out.int64(value);
    },
    (from) => from.int64(),
  ),
  boolean: scalar(
    (value) => typeof value === 'boolean',
    (out, value) => {
      out.uint8(value ? 1 : 0);
    },
    readFlag,
  ),
  timestamp: scalar(
    (value): value is number => Number.isSafeInteger(value),
    (out, value) => {
      out.float64(value + 0);
    },
    (from) => from.float64(),
  ),
  bytes: scalar(
    (value) => value instanceof Uint8Array,
    (out, value) => {
      out.varint(value.length);
      out.raw(value);
    },
    (from) => from.raw(from.varint()),
  ),
};

function readFlag(from: ByteReader): boolean {
  const flag = from.uint8();
  if (flag > 1) throw corruptBytes('a flag that is neither 0 nor 1');
  return flag === 1;
}

function arrayRow(items: RowNode): RowNode {
  return {
    write: (out, value) => {
      if (!Array.isArray(value)) return false;
      out.varint(value.length);
      // A loop by index, since a hole in a sparse array is a missing value too.
      for (let i = 0; i < value.length; i++) {
        if (!items.write(out, value[i])) return false;
      }
      return true;
    },
    read: (from) => {
      const count = from.count();
      const array: unknown[] = [];
      for (let i = 0; i < count; i++) array.push(items.read(from));
      return array;
    },
  };
}

function mapRow(values: RowNode): RowNode {
  return {
    write: (out, value) => {
      if (!(value instanceof Map)) return false;
      const map = value as ReadonlyMap<unknown, unknown>;
      const keys = [...map.keys()];
      if (!keys.every((key) => typeof key === 'string')) return false;
      out.varint(keys.length);
      for (const key of keys.sort()) {
        out.text(key);
        if (!values.write(out, map.get(key))) return false;
      }
      return true;
    },
    read: (from) => {
      const count = from.count();
      const map = new Map<string, unknown>();
      for (let i = 0; i < count; i++) map.set(from.text(), values.read(from));
      return map;
    },
  };
}

function optionalRow(inner: RowNode): RowNode {
  return {
    write: (out, value) => {
      out.uint8(value === undefined ? 0 : 1);
      return value === undefined || inner.write(out, value);
    },
    read: (from) => (readFlag(from) ? inner.read(from) : undefined),
  };
}

function literalRow(values: readonly string[]): RowNode {
  const indexes = new Map<unknown, number>(values.map((value, index) => [value, index]));
  return {
    write: (out, value) => {
      const index = indexes.get(value);
      if (index !== undefined) out.uint16(index);
      return index !== undefined;
    },
    read: (from) => {
      const value = values[from.uint16()];
      if (value === undefined) throw corruptBytes('an unknown literal');
      return value;
    },
  };
}

interface RowField {
  readonly name: string;
  readonly optional: boolean;
  /** Every object inherits something of this name, so only an own property counts. */
  readonly inherited: boolean;
  readonly row: RowNode;
}

function rowFields(record: RecordNode): readonly RowField[] {
  return Object.entries(record.fields).map(([name, field]) => ({
    name,
    optional: field.kind === 'optional',
    inherited: name in Object.prototype,
    row: rowOf(field),
  }));
}

function writeFields(out: ByteWriter, fields: readonly RowField[], value: object): boolean {
  const record = value as Readonly<Record<string, unknown>>;
  for (const { name, inherited, row } of fields) {
    const field = inherited && !Object.hasOwn(record, name) ? undefined : record[name];
    if (!row.write(out, field)) return false;
  }
  return true;
}

function readFields(
  from: ByteReader,
  fields: readonly RowField[],
  into: Record<string, unknown>,
): Record<string, unknown> {
  for (const { name, optional, row } of fields) {
    const field = row.read(from);
    if (!optional || field !== undefined) into[name] = field;
  }
  return into;
}

function recordRow(record: RecordNode): RowNode {
  const fields = rowFields(record);
  return {
    write: (out, value) => {
      if (typeof value !== 'object' || value === null || Array.isArray(value)) return false;
      if (fields.length === 0) out.uint8(0);
      return writeFields(out, fields, value);
    },
    read: (from) => {
      if (fields.length === 0) from.uint8();
      return readFields(from, fields, {});
    },
  };
}

function unionRow(union: UnionNode): RowNode {
  const variants = Object.entries(union.variants).map(([name, variant], index) => ({
    name,
    index,
    fields: rowFields(variant),
  }));
  const byName = new Map<unknown, (typeof variants)[number]>(
    variants.map((variant) => [variant.name, variant]),
  );
  return {
    write: (out, value) => {
      if (typeof value !== 'object' || value === null) return false;
      const variant = byName.get((value as Readonly<Record<string, unknown>>)[union.tag]);
      if (variant === undefined) return false;
      out.uint16(variant.index);
      return writeFields(out, variant.fields, value);
    },
    read: (from) => {
      const variant = variants[from.uint16()];
      if (variant === undefined) throw corruptBytes('an unknown variant');
      return readFields(from, variant.fields, { [union.tag]: variant.name });
    },
  };
}
