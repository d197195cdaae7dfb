/**
 * Which of our schemas stand for which Avro schemas: made from one, or checked against one. What passes
 * here both the reader and the writer can do, so they need not ask again.
 */
import { t, type Schema } from '../../api/schema.js';
import { MillraceError } from '../../core/errors.js';
import type { UnionNode } from '../../core/schema.js';
import { describeSchema, joinPath } from '../../core/schema-text.js';
import { describeAvroType, type AvroRecord, type AvroType } from './avro-type.js';
import { SCALAR_SCHEMAS } from './scalar-schemas.js';

/** The kinds of schema that a type without parts may have, the usual one first. */
const KINDS: Readonly<Partial<Record<AvroType['kind'], readonly Schema['kind'][]>>> = {
  boolean: ['boolean'],
  int: ['int32'],
  long: ['int64', 'float64', 'timestamp'],
  'timestamp-millis': ['timestamp', 'int64'],
  'timestamp-micros': ['timestamp', 'int64'],
  float: ['float64'],
  double: ['float64'],
  bytes: ['bytes'],
  fixed: ['bytes'],
  string: ['string'],
};

/** The branches of a union that hold a value; another type is its own only branch. */
export function valueBranches(type: AvroType): readonly AvroType[] {
  return type.kind === 'union' ? type.branches.filter(({ kind }) => kind !== 'null') : [type];
}

export function hasNull(type: AvroType): boolean {
  return type.kind === 'union' && type.branches.some(({ kind }) => kind === 'null');
}

/** A name without its namespace. */
export function shortName(name: string): string {
  return name.slice(name.lastIndexOf('.') + 1);
}

/** The variant of a tagged union that a record of an Avro union stands for. */
export function variantOf(schema: UnionNode, type: AvroRecord): Schema | undefined {
  return schema.variants[shortName(type.name)];
}

/** @throws MillraceError SCHEMA_INVALID naming the field that no schema stands for */
export function schemaOfAvro(type: AvroType, path = '', within: readonly AvroType[] = []): Schema {
  if (within.includes(type)) {
    throw invalid(path, `${describeAvroType(type)} holds itself`, 'a schema must have an end');
  }
  const inner = [...within, type];
  switch (type.kind) {
    case 'null':
      throw invalid(path, 'it has null and nothing else', 'leave the field out of the schema');
    case 'enum':
      return t.literal(...(type.symbols as [string, ...string[]]));
    case 'array':
      return t.array(schemaOfAvro(type.items, `${path}[]`, inner));
    case 'map':
      return t.map(schemaOfAvro(type.values, `${path}{}`, inner));
    case 'record':
      return t.record(
        Object.fromEntries(
          type.fields.map(({ name, type: field }) => [
            name,
            schemaOfAvro(field, joinPath(path, name), inner),
          ]),
        ),
      );
    case 'union': {
      const [only, ...others] = valueBranches(type);
      if (only === undefined || others.length > 0) {
        const remedy =
          'only null and one type can be told; of records alone give a t.union as schema';
        throw invalid(path, `it has the union ${describeAvroType(type)}`, remedy);
      }
      const value = schemaOfAvro(only, path, inner);
      return hasNull(type) ? t.optional(value) : value;
    }
    default: {
      const [usual] = KINDS[type.kind] ?? [];
      const schema = usual === undefined ? undefined : SCALAR_SCHEMAS[usual];
      if (schema !== undefined) return schema;
      throw invalid(path, `it has ${type.kind}`, 'leave the field out of the schema');
    }
  }
}

/**
 * Fields that only the Avro schema has are skipped; all else must stand in both.
 * @throws MillraceError SCHEMA_INVALID naming the field that does not fit
 */
export function checkAvro(type: AvroType, schema: Schema, path = ''): void {
  const misfit = (remedy: string): MillraceError =>
    invalid(path, `${describeAvroType(type)} can't be ${describeSchema(schema)}`, remedy);
  if (hasNull(type) !== (schema.kind === 'optional')) {
    throw misfit(`${hasNull(type) ? 'make' : "don't make"} it t.optional`);
  }
  if (schema.kind === 'optional') {
    const [only, ...others] = valueBranches(type);
    if (only === undefined) throw misfit('leave the field out of the schema');
    checkAvro(
      others.length === 0 ? only : { kind: 'union', branches: [only, ...others] },
      schema.value,
      path,
    );
    return;
  }
  if (type.kind === 'union') {
    const [only, ...others] = type.branches;
    if (others.length === 0 && only !== undefined) return checkAvro(only, schema, path);
    if (schema.kind !== 'union') throw misfit('of records alone make it a t.union');
    return checkUnion(type.branches, schema, path, misfit);
  }
  switch (type.kind) {
    case 'enum': {
      if (schema.kind === 'string') return;
      const { symbols } = type;
      const values = schema.kind === 'literal' ? schema.values : [];
      if (values.length === symbols.length && values.every((value) => symbols.includes(value)))
        return;
      throw misfit(`make it t.literal(${symbols.map((symbol) => `'${symbol}'`).join(', ')})`);
    }
    case 'array':
      if (schema.kind !== 'array') throw misfit('make it a t.array');
      if (type.items.kind === 'record' && type.items.fields.length === 0) {
        throw misfit('give the record of the array a field');
      }
      return checkAvro(type.items, schema.items, `${path}[]`);
    case 'map':
      if (schema.kind !== 'map') throw misfit('make it a t.map');
      return checkAvro(type.values, schema.values, `${path}{}`);
    case 'record':
      if (schema.kind !== 'record') throw misfit('make it a t.record');
      return checkFields(type, schema.fields, path);
    default: {
      const kinds = KINDS[type.kind] ?? [];
      if (!kinds.includes(schema.kind)) {
        throw misfit(`make it ${kinds.map((kind) => `t.${kind}`).join(' or ')}`);
      }
    }
  }
}

function checkFields(
  type: AvroRecord,
  fields: Readonly<Record<string, Schema>>,
  path: string,
): void {
  for (const [name, field] of Object.entries(fields)) {
    const other = type.fields.find((one) => one.name === name);
    if (other === undefined) {
      const what = `${describeAvroType(type)} of the Avro schema has no such field`;
      throw invalid(joinPath(path, name), what, 'leave it out of the schema');
    }
    checkAvro(other.type, field, joinPath(path, name));
  }
}

function checkUnion(
  branches: readonly AvroType[],
  schema: UnionNode,
  path: string,
  misfit: (remedy: string) => MillraceError,
): void {
  const records = branches.filter((branch) => branch.kind === 'record');
  const names = records.map(({ name }) => shortName(name));
  const isSame = names.every((name) => Object.hasOwn(schema.variants, name));
  if (records.length < branches.length || !isSame || new Set(names).size !== names.length) {
    throw misfit('a t.union has a variant for each record of the union, by its name');
  }
  if (Object.keys(schema.variants).length !== names.length) {
    throw misfit(`leave the variants ${names.join(', ')}`);
  }
  for (const record of records) {
    checkFields(record, schema.variants[shortName(record.name)]?.fields ?? {}, path);
  }
}

function invalid(path: string, what: string, remedy: string): MillraceError {
  const field = path === '' ? 'the Avro schema' : `field '${path}'`;
  return new MillraceError('SCHEMA_INVALID', `${field}: ${what}; ${remedy}`);
}
