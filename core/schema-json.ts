/**
 * Schemas as plain data: what a manifest, a checkpoint and a message to a worker thread hold. Names
 * travel as list entries, never as keys, so order and odd names survive. What is read back is
 * checked by the same functions that built it; this file must never trust its input.
 */
import { isMillraceError, MillraceError } from './errors.js';
import { murmur3Hash32 } from './murmur3.js';
import { describeValue } from './schema-text.js';
import {
  arraySchema,
  booleanSchema,
  bytesSchema,
  childrenOf,
  float64Schema,
  int32Schema,
  int64Schema,
  literalSchema,
  mapSchema,
  optionalSchema,
  recordSchema,
  SCHEMA_LIMITS,
  stringSchema,
  timestampSchema,
  unionSchema,
  type RecordSchema,
  type ScalarKind,
  type Schema,
} from './schema.js';

export interface NamedSchemaJson {
  readonly name: string;
  readonly schema: SchemaJson;
}

export type SchemaJson =
  | ScalarKind
  | { readonly kind: 'array'; readonly items: SchemaJson }
  | { readonly kind: 'map'; readonly values: SchemaJson }
  | { readonly kind: 'optional'; readonly value: SchemaJson }
  | { readonly kind: 'literal'; readonly values: readonly string[] }
  | { readonly kind: 'record'; readonly fields: readonly NamedSchemaJson[] }
  | {
      readonly kind: 'union';
      readonly tag: string;
      readonly variants: readonly NamedSchemaJson[];
    };

const SCALARS: ReadonlyMap<unknown, Schema> = new Map<ScalarKind, Schema>([
  ['string', stringSchema],
  ['float64', float64Schema],
  ['int32', int32Schema],
  ['int64', int64Schema],
  ['boolean', booleanSchema],
  ['timestamp', timestampSchema],
  ['bytes', bytesSchema],
]);

export function schemaToJson(schema: Schema): SchemaJson {
  switch (schema.kind) {
    case 'array':
      return { kind: 'array', items: schemaToJson(schema.items) };
    case 'map':
      return { kind: 'map', values: schemaToJson(schema.values) };
    case 'optional':
      return { kind: 'optional', value: schemaToJson(schema.value) };
    case 'literal':
      return { kind: 'literal', values: schema.values };
    case 'record':
      return { kind: 'record', fields: namedToJson(schema) };
    case 'union':
      return { kind: 'union', tag: schema.tag, variants: namedToJson(schema) };
    default:
      return schema.kind;
  }
}

function namedToJson(schema: Schema): readonly NamedSchemaJson[] {
  return childrenOf(schema).map(([name, child]) => ({ name, schema: schemaToJson(child) }));
}

/**
 * The schema that `json` describes.
 * @throws MillraceError SCHEMA_INVALID naming the path of the part that is wrong
 */
export function schemaFromJson(json: unknown): Schema {
  return read(json, '$', 1);
}

function read(json: unknown, path: string, depth: number): Schema {
  const scalar = SCALARS.get(json);
  if (scalar !== undefined) return scalar;
  if (typeof json !== 'object' || json === null || depth > SCHEMA_LIMITS.depthMax) {
    throw corrupt(path, depth > SCHEMA_LIMITS.depthMax ? 'nested too deep' : 'not a schema');
  }
  const node = json as Readonly<Record<string, unknown>>;
  try {
    switch (node['kind']) {
      case 'array':
        return arraySchema(read(node['items'], `${path}.items`, depth + 1));
      case 'map':
        return mapSchema(read(node['values'], `${path}.values`, depth + 1));
      case 'optional':
        return optionalSchema(read(node['value'], `${path}.value`, depth + 1));
      case 'literal':
        return literalSchema(...(listOf(node['values'], path) as [string, ...string[]]));
      case 'record':
        return recordSchema(readNamed(node['fields'], `${path}.fields`, depth));
      case 'union':
        return unionSchema(
          node['tag'] as string,
          readNamed(node['variants'], `${path}.variants`, depth) as Record<string, RecordSchema>,
        );
      default:
        throw corrupt(path, `unknown kind, ${describeValue(node['kind'])}`);
    }
  } catch (error) {
    if (isMillraceError(error) && !error.message.startsWith('SCHEMA_INVALID: $')) {
      throw corrupt(path, error.message.replace('SCHEMA_INVALID: ', ''));
    }
    throw error;
  }
}

function readNamed(json: unknown, path: string, depth: number): Readonly<Record<string, Schema>> {
  const named = Object.create(null) as Record<string, Schema>;
  for (const entry of listOf(json, path)) {
    if (typeof entry !== 'object' || entry === null || !('name' in entry && 'schema' in entry)) {
      throw corrupt(path, 'an entry without name and schema');
    }
    const { name, schema } = entry;
    if (typeof name !== 'string') throw corrupt(path, 'a name that is not a string');
    if (Object.hasOwn(named, name)) throw corrupt(path, `the name '${name}' twice`);
    named[name] = read(schema, `${path}.${name}`, depth + 1);
  }
  return named;
}

function listOf(json: unknown, path: string): readonly unknown[] {
  if (!Array.isArray(json)) throw corrupt(path, 'not a list');
  if (json.length > SCHEMA_LIMITS.literalsMax) throw corrupt(path, 'a list that is too long');
  return json as readonly unknown[];
}

function corrupt(path: string, what: string): MillraceError {
  return new MillraceError(
    'SCHEMA_INVALID',
    `${path}: ${what}; build the schema again with the version that reads it`,
  );
}

/** Whether two schemas have one layout: same kinds, names and order, hence the same encoded bytes. */
export function schemaEquals(left: Schema, right: Schema): boolean {
  return left === right || canonical(left) === canonical(right);
}

/** Sixteen hex digits that are equal for equal schemas, in every process and release. */
export function schemaFingerprint(schema: Schema): string {
  const bytes = new TextEncoder().encode(canonical(schema));
  const hex = (seed: number): string => murmur3Hash32(bytes, seed).toString(16).padStart(8, '0');
  return hex(0) + hex(0x9747b28c);
}

function canonical(schema: Schema): string {
  return JSON.stringify(schemaToJson(schema));
}
