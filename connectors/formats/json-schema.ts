/**
 * The JSON Schema of a schema, as a registry keeps it: what json() writes. It is for other readers and for
 * the registry's comparison of versions; nothing here reads by it.
 */
import type { Schema } from '../../api/schema.js';

type JsonSchema = Readonly<Record<string, unknown>>;

/** Records are closed, so that registries can tell a field that was added from one that anybody may add. */
export function jsonSchemaText(schema: Schema, title: string): string {
  return JSON.stringify({
    $schema: 'http://json-schema.org/draft-07/schema#',
    title,
    ...jsonSchemaOf(schema),
  });
}

function jsonSchemaOf(schema: Schema): JsonSchema {
  switch (schema.kind) {
    case 'string':
    case 'boolean':
      return { type: schema.kind };
    case 'bytes':
      return { type: 'string', contentEncoding: 'base64' };
    case 'int32':
      return { type: 'integer', minimum: -(2 ** 31), maximum: 2 ** 31 - 1 };
    case 'timestamp':
      return { type: 'integer' };
    case 'int64':
      // Digits where a number would lose some.
      return { oneOf: [{ type: 'integer' }, { type: 'string', pattern: '^-?[0-9]{1,19}$' }] };
    case 'float64':
      return {
        oneOf: [{ type: 'number' }, { type: 'string', enum: ['NaN', 'Infinity', '-Infinity'] }],
      };
    case 'literal':
      return { type: 'string', enum: schema.values };
    case 'optional':
      return { oneOf: [{ type: 'null' }, jsonSchemaOf(schema.value)] };
    case 'array':
      return { type: 'array', items: jsonSchemaOf(schema.items) };
    case 'map':
      return { type: 'object', additionalProperties: jsonSchemaOf(schema.values) };
    case 'record':
      return recordSchema(schema.fields, {});
    case 'union':
      return {
        oneOf: Object.entries(schema.variants).map(([name, { fields }]) =>
          recordSchema(fields, { [schema.tag]: { type: 'string', const: name } }),
        ),
      };
  }
}

function recordSchema(
  fields: Readonly<Record<string, Schema>>,
  head: Readonly<Record<string, JsonSchema>>,
): JsonSchema {
  const entries = Object.entries(fields);
  const required = entries.filter(([, { kind }]) => kind !== 'optional').map(([name]) => name);
  return {
    type: 'object',
    properties: {
      ...head,
      ...Object.fromEntries(entries.map(([name, field]) => [name, jsonSchemaOf(field)])),
    },
    required: [...Object.keys(head), ...required],
    additionalProperties: false,
  };
}
