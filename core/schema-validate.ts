/**
 * The full check of a value against its schema, in words. The codecs check cheaply as they encode
 * and come here only once they have failed, so this is the slow path and reads for its message.
 * Fields that the schema does not name are not part of the value and are ignored.
 */
import type { LiteralNode, RecordNode, ScalarKind, Schema, UnionNode } from './schema.js';
import { describeSchema, describeValue, joinPath } from './schema-text.js';

const INT64_MIN = -(2n ** 63n);
const INT64_MAX = 2n ** 63n - 1n;

const SCALAR_CHECKS: Readonly<Record<ScalarKind, (value: unknown) => boolean>> = {
  string: (value) => typeof value === 'string',
  float64: (value) => typeof value === 'number',
  int32: (value) => typeof value === 'number' && (value | 0) === value,
  int64: (value) => typeof value === 'bigint' && value >= INT64_MIN && value <= INT64_MAX,
  boolean: (value) => typeof value === 'boolean',
  timestamp: (value) => Number.isSafeInteger(value),
  bytes: (value) => value instanceof Uint8Array,
};

const SCALAR_NOTES: Readonly<Partial<Record<ScalarKind, string>>> = {
  int32: 'int32 (an integer of 32 bits)',
  int64: 'int64 (a bigint of 64 bits)',
  timestamp: 'timestamp (whole milliseconds)',
};

/**
 * The first problem of `value`, such as `field 'geo.lat': expected float64, got string "x"`, or
 * undefined when the schema describes it.
 * @param path where the value stands in what the reader knows; empty at the root
 */
export function validate(schema: Schema, value: unknown, path = ''): string | undefined {
  switch (schema.kind) {
    case 'optional':
      return value === undefined ? undefined : validate(schema.value, value, path);
    case 'array':
      if (!Array.isArray(value)) return problem(path, schema, value);
      return first(value.entries(), ([index, item]) =>
        validate(schema.items, item, `${path}[${String(index)}]`),
      );
    case 'map':
      return validateMap(schema.values, schema, value, path);
    case 'literal':
      return validateLiteral(schema, schema, value, path);
    case 'record':
      return validateRecord(schema, schema, value, path);
    case 'union':
      return validateUnion(schema, schema, value, path);
    default:
      return SCALAR_CHECKS[schema.kind](value)
        ? undefined
        : problem(path, SCALAR_NOTES[schema.kind] ?? schema.kind, value);
  }
}

function validateMap(
  values: Schema,
  schema: Schema,
  value: unknown,
  path: string,
): string | undefined {
  if (!(value instanceof Map)) return problem(path, schema, value);
  return first(value as ReadonlyMap<unknown, unknown>, ([key, item]) =>
    typeof key === 'string'
      ? validate(values, item, joinPath(path, `{${JSON.stringify(key)}}`))
      : problem(path, 'string keys', key),
  );
}

function validateLiteral(
  node: LiteralNode,
  schema: Schema,
  value: unknown,
  path: string,
): string | undefined {
  return typeof value === 'string' && node.values.includes(value)
    ? undefined
    : problem(path, schema, value);
}

function validateRecord(
  node: RecordNode,
  schema: Schema,
  value: unknown,
  path: string,
): string | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return problem(path, schema, value);
  }
  return first(Object.entries(node.fields), ([name, field]) =>
    validate(field, fieldOf(value, name), joinPath(path, name)),
  );
}

function validateUnion(
  node: UnionNode,
  schema: Schema,
  value: unknown,
  path: string,
): string | undefined {
  if (typeof value !== 'object' || value === null) return problem(path, schema, value);
  const tag = fieldOf(value, node.tag);
  const variant = typeof tag === 'string' ? node.variants[tag] : undefined;
  if (variant === undefined) {
    const names = Object.keys(node.variants).map((name) => JSON.stringify(name));
    return problem(joinPath(path, node.tag), names.join(' | '), tag);
  }
  return validateRecord(variant, variant, value, path);
}

/** A field as the codecs read it: a name that every object inherits counts only when it is own. */
function fieldOf(value: object, name: string): unknown {
  if (name in Object.prototype && !Object.hasOwn(value, name)) return undefined;
  return (value as Readonly<Record<string, unknown>>)[name];
}

function first<T>(items: Iterable<T>, check: (item: T) => string | undefined): string | undefined {
  for (const item of items) {
    const found = check(item);
    if (found !== undefined) return found;
  }
  return undefined;
}

function problem(path: string, expected: Schema | string, value: unknown): string {
  const wanted = typeof expected === 'string' ? expected : describeSchema(expected);
  const where = path === '' ? 'value' : `field '${path}'`;
  return `${where}: expected ${wanted}, got ${describeValue(value)}`;
}
