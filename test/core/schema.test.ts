import { deepStrictEqual } from 'node:assert';
import test from 'ava';
import fc from 'fast-check';
import { t } from '../../api/schema.js';
import {
  schemaEquals,
  schemaFingerprint,
  schemaFromJson,
  schemaToJson,
} from '../../core/schema-json.js';
import { describeSchema } from '../../core/schema-text.js';
import { SCHEMA_LIMITS, type Schema } from '../../core/schema.js';
import { schemaArbitrary } from './schema-arbitraries.js';

const invalid = (what: RegExp): { message: RegExp } => ({
  message: new RegExp(`^SCHEMA_INVALID: .*${what.source}`, 's'),
});

test('a schema survives its plain-data form and keeps its fingerprint', (check) => {
  fc.assert(
    fc.property(schemaArbitrary(3), (schema) => {
      const copy = schemaFromJson(JSON.parse(JSON.stringify(schemaToJson(schema))));
      deepStrictEqual(copy, schema);
      deepStrictEqual(schemaEquals(copy, schema), true);
      deepStrictEqual(schemaFingerprint(copy), schemaFingerprint(schema));
    }),
  );
  check.pass();
});

test('schemas are equal exactly when their descriptions in JSON are', (check) => {
  fc.assert(
    fc.property(schemaArbitrary(1), schemaArbitrary(1), (left, right) => {
      const equal = JSON.stringify(schemaToJson(left)) === JSON.stringify(schemaToJson(right));
      deepStrictEqual(schemaEquals(left, right), equal);
    }),
  );
  check.false(
    schemaEquals(t.record({ a: t.string, b: t.string }), t.record({ b: t.string, a: t.string })),
  );
});

test('fingerprints never change', (check) => {
  const schema = t.record({ id: t.string, at: t.timestamp, note: t.optional(t.string) });
  check.is(schemaFingerprint(schema), '8be77f03f4ac4ef7');
});

test('a schema is described in short', (check) => {
  const schema = t.record({
    user_id: t.string,
    price: t.float64,
    'a b': t.optional(t.array(t.int32)),
    by: t.map(t.literal('x', 'y')),
    event: t.union('kind', { ping: t.record({}), order: t.record({ id: t.int64 }) }),
  });
  check.is(
    describeSchema(schema),
    '{ user_id: string, price: float64, "a b"?: array<int32>, by: map<"x" | "y">, ' +
      'event: union kind (ping: {} | order: { id: int64 }) }',
  );
});

test('a schema is frozen through and through', (check) => {
  const schema = t.record({ a: t.string });
  check.true(Object.isFrozen(schema) && Object.isFrozen(schema.fields));
});

const notSchema = 'string' as unknown as Schema;
function nested(depth: number): Schema {
  return depth === 0 ? t.string : t.array(nested(depth - 1));
}
function wide(): Schema {
  let schema: Schema = t.string;
  for (let i = 0; i < 20; i++) schema = t.record({ a: schema, b: schema });
  return schema;
}

for (const [what, build, message] of [
  ['a field that is not a schema', () => t.record({ price: notSchema }), /field 'price'/],
  ['a field that is missing', () => t.record({ a: undefined as unknown as Schema }), /field 'a'/],
  ['the field __proto__', () => t.record({ ['__proto__']: t.string }), /__proto__/],
  ['an element that is not a schema', () => t.array(notSchema), /array items/],
  ['a map value that is not a schema', () => t.map(notSchema), /map values/],
  ['an optional of an optional', () => t.optional(t.optional(t.string)), /optional once/],
  ['a literal of nothing', () => t.literal(...([] as unknown as ['a'])), /literal of 0/],
  ['a doubled literal', () => t.literal('a', 'a'), /twice/],
  ['a union of nothing', () => t.union('kind', {}), /0 variants/],
  ['a variant with the tag', () => t.union('k', { a: t.record({ k: t.string }) }), /tag 'k'/],
  [
    'a variant that is no record',
    () => t.union('k', { a: t.string as unknown as ReturnType<typeof t.record> }),
    /variant 'a' is a string/,
  ],
  ['endless nesting', () => nested(SCHEMA_LIMITS.depthMax), /nested deeper/],
  ['a tree of too many parts', wide, /more than 4096 parts/],
  ['a name without end', () => t.record({ ['n'.repeat(2000)]: t.string }), /2000 characters/],
] as const) {
  test(`${what} is refused`, (check) => {
    check.throws(build, invalid(message));
  });
}

for (const [what, json, message] of [
  ['null', null, /\$: not a schema/],
  ['an unknown scalar', 'float16', /\$: not a schema/],
  ['an unknown kind', { kind: 'set' }, /\$: unknown kind, string "set"/],
  [
    'a wrong field, by its path',
    { kind: 'record', fields: [{ name: 'geo', schema: { kind: 'array', items: 'x' } }] },
    /\$\.fields\.geo\.items: not a schema/,
  ],
  ['fields that are no list', { kind: 'record', fields: {} }, /\$\.fields: not a list/],
  ['an entry without a schema', { kind: 'record', fields: [{ name: 'a' }] }, /without name/],
  [
    'a doubled field',
    {
      kind: 'record',
      fields: [
        { name: 'a', schema: 'string' },
        { name: 'a', schema: 'int32' },
      ],
    },
    /the name 'a' twice/,
  ],
  [
    'the field __proto__',
    { kind: 'record', fields: [{ name: '__proto__', schema: 'string' }] },
    /__proto__/,
  ],
  ['a tag that is no string', { kind: 'union', tag: 7, variants: [] }, /tag of type number/],
  ['literals that are no strings', { kind: 'literal', values: [1] }, /literal value of type/],
] as const) {
  test(`${what} is refused when read back`, (check) => {
    check.throws(() => schemaFromJson(json), invalid(message));
  });
}

test('endless nesting is refused when read back', (check) => {
  let json: unknown = 'string';
  for (let i = 0; i < 10_000; i++) json = { kind: 'array', items: json };
  check.throws(() => schemaFromJson(json), invalid(/nested too deep/));
});
