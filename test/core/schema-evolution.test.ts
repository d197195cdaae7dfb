import { deepStrictEqual } from 'node:assert';
import test from 'ava';
import fc from 'fast-check';
import * as t from '../../api/schema-builder.js';
import { evolve } from '../../core/schema-evolution.js';
import { validate } from '../../core/schema-validate.js';
import type { Schema } from '../../core/schema.js';
import { schemaArbitrary, schemaWithValues, valueArbitrary } from './schema-arbitraries.js';

function migrate(writer: Schema, reader: Schema, value: unknown): unknown {
  const evolution = evolve(writer, reader);
  if (!evolution.compatible) throw new Error(evolution.reason);
  return evolution.migrate === null ? value : evolution.migrate(value);
}

test('equal schemas need no migration', (check) => {
  fc.assert(
    fc.property(schemaArbitrary(3), (schema) => {
      deepStrictEqual(evolve(schema, schema), { compatible: true, migrate: null });
    }),
  );
  check.pass();
});

test('an added optional field, a removed field and another order are migrated', (check) => {
  const writer = t.record({ a: t.string, gone: t.int32, b: t.boolean });
  const reader = t.record({ b: t.boolean, a: t.string, note: t.optional(t.string) });
  const migrated = migrate(writer, reader, { a: 'x', gone: 1, b: true });
  check.deepEqual(migrated, { b: true, a: 'x' });
  check.deepEqual(Object.keys(migrated as object), ['b', 'a']);
});

test('a number is widened wherever it stands', (check) => {
  const schemaOf = (number: Schema, whole: Schema): Schema =>
    t.record({
      list: t.array(number),
      map: t.map(whole),
      maybe: t.optional(whole),
      event: t.union('kind', { a: t.record({ n: whole }), b: t.record({}) }),
    });
  const value = {
    list: [1, 2],
    map: new Map([['k', 3]]),
    event: { kind: 'a', n: 4 },
  };
  check.deepEqual(migrate(schemaOf(t.int32, t.int32), schemaOf(t.float64, t.int64), value), {
    list: [1, 2],
    map: new Map([['k', 3n]]),
    event: { kind: 'a', n: 4n },
  });
});

for (const [what, writer, reader, reason] of [
  [
    'another type',
    t.record({ geo: t.record({ lat: t.float64 }) }),
    t.record({ geo: t.record({ lat: t.string }) }),
    `field 'geo.lat': float64 can't become string`,
  ],
  [
    'a narrowed number',
    t.record({ n: t.float64 }),
    t.record({ n: t.int32 }),
    `field 'n': float64 can't become int32`,
  ],
  [
    'an added required field',
    t.record({}),
    t.record({ n: t.int32 }),
    `field 'n': an added field must be optional`,
  ],
  [
    'a field made optional',
    t.record({ n: t.int32 }),
    t.record({ n: t.optional(t.int32) }),
    `field 'n': int32 can't become int32?`,
  ],
  [
    'an optional made required',
    t.record({ n: t.optional(t.int32) }),
    t.record({ n: t.int32 }),
    `field 'n': int32? can't become int32`,
  ],
  ['an added literal', t.literal('a'), t.literal('a', 'b'), `value: the value 'b' was added`],
  ['a removed literal', t.literal('a', 'b'), t.literal('a'), `value: the value 'b' was removed`],
  [
    'an added variant',
    t.union('k', { a: t.record({}) }),
    t.union('k', { a: t.record({}), b: t.record({}) }),
    `value: the variant 'b' was added`,
  ],
  [
    'another tag',
    t.union('k', { a: t.record({}) }),
    t.union('l', { a: t.record({}) }),
    `value: the tag 'k' can't become 'l'`,
  ],
  [
    'an element of another type',
    t.array(t.array(t.string)),
    t.array(t.array(t.bytes)),
    `field '[][]': string can't become bytes`,
  ],
] as const) {
  test(`${what} is refused by name`, (check) => {
    check.deepEqual(evolve(writer, reader), { compatible: false, reason });
  });
}

test('a field whose name every object inherits may be added', (check) => {
  const reader = t.record({ toString: t.optional(t.string) });
  check.deepEqual(migrate(t.record({}), reader, {}), {});
});

test('whatever is migrated, the reader describes', (check) => {
  fc.assert(
    fc.property(
      schemaArbitrary(2).chain((writer) =>
        fc.tuple(fc.constant(writer), schemaArbitrary(2), valueArbitrary(writer)),
      ),
      ([writer, reader, value]) => {
        const evolution = evolve(writer, reader);
        if (!evolution.compatible) return;
        deepStrictEqual(validate(reader, migrate(writer, reader, value)), undefined);
      },
    ),
    { numRuns: 500 },
  );
  fc.assert(
    fc.property(schemaWithValues, ({ schema, values }) => {
      const reader = widened(schema);
      for (const value of values) {
        deepStrictEqual(validate(reader, migrate(schema, reader, value)), undefined);
      }
    }),
    { numRuns: 300 },
  );
  check.pass();
});

/** A schema changed in every way that is allowed. */
function widened(schema: Schema): Schema {
  switch (schema.kind) {
    case 'int32':
      return t.int64;
    case 'array':
      return t.array(widened(schema.items));
    case 'map':
      return t.map(widened(schema.values));
    case 'optional':
      return t.optional(widened(schema.value));
    case 'record':
      return t.record(widenedFields(schema.fields));
    case 'union':
      return t.union(
        schema.tag,
        Object.fromEntries(
          Object.entries(schema.variants).map(([name, variant]) => [
            name,
            t.record(widenedFields(variant.fields)),
          ]),
        ),
      );
    default:
      return schema;
  }
}

function widenedFields(fields: Readonly<Record<string, Schema>>): Record<string, Schema> {
  const kept = Object.entries(fields).slice(1).reverse();
  return {
    ...Object.fromEntries(kept.map(([name, field]) => [name, widened(field)])),
    'an added field': t.optional(t.string),
  };
}
