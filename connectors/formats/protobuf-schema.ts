/**
 * Which of our schemas stand for which Protobuf messages: made from one, or checked against one. What
 * passes here both the reader and the writer can do, so they need not ask again.
 */
import { t, type Schema } from '../../api/schema.js';
import { MillraceError } from '../../core/errors.js';
import { describeSchema, joinPath } from '../../core/schema-text.js';
import {
  describeProtoField,
  describeProtoType,
  type ProtoField,
  type ProtoMessage,
  type ProtoType,
} from './protobuf-type.js';
import { SCALAR_SCHEMAS } from './scalar-schemas.js';

const INT64 = ['int64', 'float64', 'timestamp'] as const;
/** The kinds of schema that a type without parts may have, the usual one first. */
const KINDS: Readonly<
  Record<Exclude<ProtoType['kind'], 'enum' | 'message'>, readonly Schema['kind'][]>
> = {
  double: ['float64'],
  float: ['float64'],
  int32: ['int32'],
  sint32: ['int32'],
  sfixed32: ['int32'],
  uint32: ['float64'],
  fixed32: ['float64'],
  int64: INT64,
  sint64: INT64,
  sfixed64: INT64,
  uint64: INT64,
  fixed64: INT64,
  bool: ['boolean'],
  string: ['string'],
  bytes: ['bytes'],
  timestamp: ['timestamp'],
};

/** @throws MillraceError SCHEMA_INVALID naming the field that no schema stands for */
export function schemaOfMessage(
  message: ProtoMessage,
  path = '',
  within: readonly ProtoMessage[] = [],
): Schema {
  if (within.includes(message)) {
    const remedy = 'give a schema that leaves it out';
    throw invalid(path, `${describeProtoType(message)} holds itself`, remedy);
  }
  return t.record(
    Object.fromEntries(
      message.fields.map((field) => [
        field.name,
        schemaOfField(field, joinPath(path, field.name), [...within, message]),
      ]),
    ),
  );
}

function schemaOfField(field: ProtoField, path: string, within: readonly ProtoMessage[]): Schema {
  checkMapKey(field, path);
  const value = schemaOfType(field.type, path, within);
  if (field.shape === 'repeated') return t.array(value);
  if (field.shape === 'map') return t.map(value);
  return field.hasPresence && !field.isRequired ? t.optional(value) : value;
}

function schemaOfType(type: ProtoType, path: string, within: readonly ProtoMessage[]): Schema {
  switch (type.kind) {
    case 'message':
      return schemaOfMessage(type, path, within);
    case 'enum':
      return t.literal(...([...type.numbers.keys()] as [string, ...string[]]));
    default:
      return SCALAR_SCHEMAS[KINDS[type.kind][0] ?? 'string'] ?? t.string;
  }
}

/**
 * Fields that only the message has are skipped; all else must stand in both.
 * @throws MillraceError SCHEMA_INVALID naming the field that does not fit
 */
export function checkMessage(message: ProtoMessage, schema: Schema, path = ''): void {
  if (schema.kind !== 'record') {
    const what = `${describeProtoType(message)} can't be ${describeSchema(schema)}`;
    throw invalid(path, what, 'make it a t.record');
  }
  for (const [name, field] of Object.entries(schema.fields)) {
    const at = joinPath(path, name);
    const other = message.fields.find((one) => one.name === name);
    if (other === undefined) {
      const what = `${describeProtoType(message)} has no such field`;
      throw invalid(at, what, 'leave it out of the schema');
    }
    checkField(other, field, at);
  }
}

function checkField(field: ProtoField, schema: Schema, path: string): void {
  const misfit = (remedy: string): MillraceError =>
    invalid(path, `${describeProtoField(field)} can't be ${describeSchema(schema)}`, remedy);
  checkMapKey(field, path);
  if (field.shape === 'repeated') {
    if (schema.kind !== 'array') throw misfit('make it a t.array');
    return checkType(field.type, schema.items, `${path}[]`);
  }
  if (field.shape === 'map') {
    if (schema.kind !== 'map') throw misfit('make it a t.map');
    return checkType(field.type, schema.values, `${path}{}`);
  }
  if (schema.kind !== 'optional') return checkType(field.type, schema, path);
  if (!field.hasPresence) {
    throw misfit("don't make it t.optional: an absent one can't be told from its default");
  }
  checkType(field.type, schema.value, path);
}

function checkType(type: ProtoType, schema: Schema, path: string): void {
  const misfit = (remedy: string): MillraceError =>
    invalid(path, `${describeProtoType(type)} can't be ${describeSchema(schema)}`, remedy);
  switch (type.kind) {
    case 'message':
      return checkMessage(type, schema, path);
    case 'enum': {
      if (schema.kind === 'string') return;
      const names = [...type.numbers.keys()];
      const values = schema.kind === 'literal' ? schema.values : [];
      if (values.length === names.length && values.every((value) => names.includes(value))) return;
      throw misfit(`make it t.literal(${names.map((name) => `'${name}'`).join(', ')})`);
    }
    default: {
      const kinds = KINDS[type.kind];
      if (!kinds.includes(schema.kind)) {
        throw misfit(`make it ${kinds.map((kind) => `t.${kind}`).join(' or ')}`);
      }
    }
  }
}

/**
 * What of the writer's message can't be read as the reader's; undefined when all can. Numbers count, not
 * names; a field that only one of them has is absent or skipped.
 */
export function messageDifference(
  writer: ProtoMessage,
  reader: ProtoMessage,
  path = '',
  seen = new Set<ProtoMessage>(),
): string | undefined {
  if (seen.has(reader)) return undefined;
  seen.add(reader);
  for (const field of reader.fields) {
    const other = writer.fields.find(({ number }) => number === field.number);
    if (other === undefined) continue;
    const at = joinPath(path, field.name);
    const isSame =
      familyOf(other.type) === familyOf(field.type) &&
      (other.shape === 'map') === (field.shape === 'map');
    if (!isSame) {
      return `field '${at}': the writer has ${describeProtoField(other)} as number ${String(field.number)}, the reader ${describeProtoField(field)}`;
    }
    if (other.type.kind === 'message' && field.type.kind === 'message') {
      const inner = messageDifference(other.type, field.type, at, seen);
      if (inner !== undefined) return inner;
    }
  }
  return undefined;
}

/** Types of one family are written in the same way. */
function familyOf({ kind }: ProtoType): string {
  switch (kind) {
    case 'int32':
    case 'uint32':
    case 'int64':
    case 'uint64':
    case 'bool':
    case 'enum':
      return 'varint';
    case 'sint32':
    case 'sint64':
      return 'zigzag';
    case 'fixed32':
    case 'sfixed32':
      return 'fixed32';
    case 'fixed64':
    case 'sfixed64':
      return 'fixed64';
    case 'string':
    case 'bytes':
      return 'bytes';
    default:
      return kind;
  }
}

function checkMapKey({ shape, mapKey }: ProtoField, path: string): void {
  if (shape !== 'map' || mapKey === 'string') return;
  const what = `a map with keys of ${mapKey ?? ''} can't be a t.map`;
  throw invalid(path, what, 'leave it out of the schema: keys are strings');
}

function invalid(path: string, what: string, remedy: string): MillraceError {
  const field = path === '' ? 'the message' : `field '${path}'`;
  return new MillraceError('SCHEMA_INVALID', `${field}: ${what}; ${remedy}`);
}
