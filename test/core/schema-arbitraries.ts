/** Random schemas with random values of them, for the properties of codecs and evolution. */
import fc from 'fast-check';
import * as t from '../../api/schema-builder.js';
import type { RecordSchema, Schema } from '../../core/schema.js';

const hostileNames = [
  'constructor',
  'toString',
  'hasOwnProperty',
  'valueOf',
  '__defineGetter__',
  '"];throw 1;["',
  '`${1}`',
  '\u2028',
  '\ud800',
  '\\',
  '*/',
  '',
  '1',
  'a b',
  'größe',
];

/** Field names, many of them hostile to generated code. */
export const nameArbitrary: fc.Arbitrary<string> = fc.oneof(
  fc.constantFrom(...hostileNames),
  fc.string({ maxLength: 6, unit: 'binary' }).filter((name) => name !== '__proto__'),
);

/** Strings of every width, with lone surrogates. */
export const textArbitrary: fc.Arbitrary<string> = fc.oneof(
  fc.string({ maxLength: 12 }),
  fc.string({ maxLength: 12, unit: 'binary' }),
  fc.constantFrom('', 'ÿ', 'Ā', '\ud800', '\udc00x', '日本語', 'a'.repeat(40), '𝒳'),
);

const scalarArbitrary: fc.Arbitrary<Schema> = fc.constantFrom<Schema>(
  t.string,
  t.float64,
  t.int32,
  t.int64,
  t.boolean,
  t.timestamp,
  t.bytes,
);

function literalArbitrary(): fc.Arbitrary<Schema> {
  return fc
    .uniqueArray(nameArbitrary, { minLength: 1, maxLength: 20 })
    .map(([first = '', ...rest]) => t.literal(first, ...rest));
}

export function recordArbitrary(depth: number): fc.Arbitrary<RecordSchema> {
  return fc
    .uniqueArray(fc.tuple(nameArbitrary, schemaArbitrary(depth - 1, true)), {
      maxLength: 4,
      selector: ([name]) => name,
    })
    .map((fields) => t.record(Object.fromEntries(fields)));
}

function unionArbitrary(depth: number): fc.Arbitrary<Schema> {
  return fc
    .uniqueArray(fc.tuple(nameArbitrary, recordArbitrary(depth - 1)), {
      minLength: 1,
      maxLength: 3,
      selector: ([name]) => name,
    })
    .map((variants) => {
      const taken = new Set(variants.flatMap(([, variant]) => Object.keys(variant.fields)));
      const tag = taken.has('kind') ? [...taken].join('') + '!' : 'kind';
      return t.union(tag, Object.fromEntries(variants));
    });
}

/** Schemas of up to `depth` levels. */
export function schemaArbitrary(depth: number, mayBeOptional = false): fc.Arbitrary<Schema> {
  const leaves = [scalarArbitrary, literalArbitrary()];
  if (depth <= 0) return fc.oneof(...leaves);
  const inner = schemaArbitrary(depth - 1);
  const nested = [
    recordArbitrary(depth),
    unionArbitrary(depth),
    schemaArbitrary(depth - 1, true).map((items) => t.array(items)),
    schemaArbitrary(depth - 1, true).map((values) => t.map(values)),
    ...(mayBeOptional ? [inner.map((value) => t.optional(value))] : []),
  ];
  return fc.oneof(...leaves, ...nested);
}

/** Values that a schema describes, in the form in which codecs give them back. */
export function valueArbitrary(schema: Schema): fc.Arbitrary<unknown> {
  switch (schema.kind) {
    case 'string':
      return textArbitrary;
    case 'float64':
      return fc.double();
    case 'int32':
      return fc.integer();
    case 'int64':
      return fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n });
    case 'boolean':
      return fc.boolean();
    case 'timestamp':
      return fc.maxSafeInteger();
    case 'bytes':
      return fc.uint8Array({ maxLength: 9 });
    case 'literal':
      return fc.constantFrom(...schema.values);
    case 'optional':
      return fc.option(valueArbitrary(schema.value), { nil: undefined });
    case 'array':
      return fc.array(valueArbitrary(schema.items), { maxLength: 5 });
    case 'map':
      return fc
        .uniqueArray(fc.tuple(textArbitrary, valueArbitrary(schema.values)), {
          maxLength: 4,
          selector: ([key]) => key,
        })
        .map((entries) => new Map(entries));
    case 'record':
      return fieldsArbitrary(schema.fields);
    case 'union':
      return fc.oneof(
        ...Object.entries(schema.variants).map(([name, variant]) =>
          fieldsArbitrary(variant.fields).map((fields) => ({ [schema.tag]: name, ...fields })),
        ),
      );
  }
}

function fieldsArbitrary(
  fields: Readonly<Record<string, Schema>>,
): fc.Arbitrary<Record<string, unknown>> {
  const entries = Object.entries(fields).map(([name, field]) =>
    fc.tuple(fc.constant([name, field.kind] as const), valueArbitrary(field)),
  );
  return fc
    .tuple(...entries)
    .map((pairs) =>
      Object.fromEntries(
        pairs
          .filter(([[, kind], value]) => kind !== 'optional' || value !== undefined)
          .map(([[name], value]) => [name, value]),
      ),
    );
}

/** A schema together with some values of it. */
export const schemaWithValues: fc.Arbitrary<{ schema: Schema; values: unknown[] }> =
  schemaArbitrary(3).chain((schema) =>
    fc.array(valueArbitrary(schema), { maxLength: 6 }).map((values) => ({ schema, values })),
  );
