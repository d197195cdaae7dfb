import test from 'ava';
import * as fc from 'fast-check';
import { t as types, type Schema } from '../../../api/schema.js';
import { csv, jsonLines } from '../../../connectors/files/index.js';
import type { ReadableFormat } from '../../../connectors/files/file-format.js';
import { FormatError } from '../../../connectors/formats/format.js';
import { parseIsoTimestamp } from '../../../connectors/formats/iso-timestamp.js';

const Flat = types.record({
  text: types.string,
  float: types.float64,
  small: types.int32,
  big: types.int64,
  flag: types.boolean,
  at: types.timestamp,
  raw: types.bytes,
  kind: types.literal('a', 'b "c"'),
  constructor: types.optional(types.float64),
});
const Nested = types.record({
  first: types.optional(types.string),
  second: types.optional(types.array(types.optional(types.float64))),
  flat: Flat,
  byName: types.map(types.record({ x: types.int32 })),
  shape: types.union('kind', {
    circle: types.record({ radius: types.float64 }),
    none: types.record({}),
    box: types.record({ label: types.optional(types.string), 'a-b': types.float64 }),
  }),
  last: types.optional(types.map(types.string)),
});

/** An optional property is there with a value, or not there at all. */
const absent = <T>(value: T, chance: boolean): T | undefined => (chance ? value : undefined);
const withoutAbsent = <T extends object>(record: T): T =>
  Object.fromEntries(Object.entries(record).filter(([, value]) => value !== undefined)) as T;

const text = fc.string({ unit: 'binary', maxLength: 12 });
const flatArbitrary = (chars: fc.Arbitrary<string>): fc.Arbitrary<unknown> =>
  fc
    .record({
      text: chars,
      float: fc.double(),
      small: fc.integer(),
      big: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
      flag: fc.boolean(),
      at: fc.maxSafeInteger(),
      raw: fc.uint8Array({ maxLength: 9 }),
      kind: fc.constantFrom('a', 'b "c"'),
      constructor: fc.option(fc.integer(), { nil: undefined }),
    })
    .map(withoutAbsent);

const nestedArbitrary = fc
  .record({
    first: fc.option(text, { nil: undefined }),
    second: fc.option(fc.array(fc.option(fc.double(), { nil: undefined })), { nil: undefined }),
    flat: flatArbitrary(text),
    byName: fc
      .array(fc.tuple(text, fc.record({ x: fc.integer() })))
      .map((entries) => new Map(entries)),
    shape: fc.oneof(
      fc.record({ kind: fc.constant('circle'), radius: fc.double() }),
      fc.constant({ kind: 'none' }),
      fc
        .tuple(text, fc.boolean(), fc.double())
        .map(([label, has, n]) =>
          withoutAbsent({ kind: 'box', label: absent(label, has), 'a-b': n }),
        ),
    ),
    last: fc.option(
      fc.array(fc.tuple(text, text)).map((entries) => new Map(entries)),
      { nil: undefined },
    ),
  })
  .map(withoutAbsent);

function roundTrip(
  format: ReadableFormat<unknown>,
  record: unknown,
): { line: string; back: unknown } {
  const encoder = format.createEncoder();
  const line = encoder.encode(record);
  const header = format.hasHeader ? encoder.header.trimEnd() : undefined;
  return { line, back: format.createDecoder(header).decode(line.slice(0, -1)) };
}

test('json: what is written is one line of JSON, and is read as it was', (t) => {
  const format = jsonLines<unknown>(Nested as Schema<unknown>);
  fc.assert(
    fc.property(nestedArbitrary, (record) => {
      const { line, back } = roundTrip(format, record);
      t.deepEqual(back, record);
      t.notThrows(() => JSON.parse(line) as unknown);
      t.is(line.indexOf('\n'), line.length - 1);
    }),
    { numRuns: 300 },
  );
});

test('csv: what is written is one line, and is read as it was', (t) => {
  const oneLine = text.filter((value) => !/[\r\n]/.test(value));
  for (const options of [{}, { header: false, delimiter: '\t' }, { delimiter: ';' }]) {
    const format = csv(Flat, options) as ReadableFormat<unknown>;
    fc.assert(
      fc.property(flatArbitrary(oneLine), (record) => {
        const { line, back } = roundTrip(format, record);
        // CSV text has one zero only.
        const float = (record as { float: number }).float;
        t.deepEqual(back, Object.is(float, -0) ? { ...(record as object), float: 0 } : record);
        t.is(line.indexOf('\n'), line.length - 1);
      }),
      { numRuns: 200 },
    );
  }
});

test('json: fields in the order of the schema, others dropped, special values as documented', (t) => {
  const schema = types.record({
    b: types.float64,
    a: types.int64,
    c: types.optional(types.string),
  });
  const { encode } = jsonLines(schema).createEncoder();
  const record = { extra: true, a: 2n ** 53n, b: NaN };
  t.is(encode(record), '{"b":"NaN","a":"9007199254740992"}\n');
  t.is(encode({ c: 'x', a: 5n, b: -Infinity }), '{"b":"-Infinity","a":5,"c":"x"}\n');
  const { decode } = jsonLines(schema).createDecoder(undefined);
  t.deepEqual(decode('{"z":{},"c":null,"b":1,"a":"5"}'), { b: 1, a: 5n });
});

const jsonCases: readonly (readonly [Schema, string, RegExp])[] = [
  [
    types.record({ a: types.int32 }),
    '{"a":2147483648}',
    /^field 'a': expected an integer of 32 bits, got number 2147483648$/,
  ],
  [
    types.record({ a: types.int64 }),
    '{"a":9007199254740993}',
    /^field 'a': expected an integer of 64 bits, as a string/,
  ],
  [types.record({ a: types.int64 }), '{"a":"9223372036854775808"}', /integer of 64 bits/],
  [types.record({ a: types.timestamp }), '{"a":1.5}', /^field 'a': expected a timestamp/],
  [types.record({ a: types.bytes }), '{"a":"a"}', /^field 'a': expected base64/],
  [
    types.record({ a: types.literal('x', 'y') }),
    '{"a":"z"}',
    /^field 'a': expected "x" \| "y", got string "z"$/,
  ],
  [
    types.record({ a: types.array(types.record({ b: types.boolean })) }),
    '{"a":[{"b":1}]}',
    /^field 'a\[\].b': expected true or false/,
  ],
  [
    types.record({ a: types.map(types.string) }),
    '{"a":{"k":1}}',
    /^field 'a\{\}': expected a string/,
  ],
  [
    types.union('k', { x: types.record({}) }),
    '{"k":"y"}',
    /^field 'k': expected "x", got string "y"$/,
  ],
  [
    types.record({ valueOf: types.float64 }),
    '{}',
    /^field 'valueOf': expected a number, got nothing$/,
  ],
  [types.record({}), '[]', /^the line: expected an object, got array of 0$/],
  [types.record({}), '', /^not JSON: /],
];

test('json: a line that holds no record says why', (t) => {
  for (const [schema, line, reason] of jsonCases) {
    t.regex(reasonOf(jsonLines(schema), line), reason);
  }
});

function reasonOf<T>(format: ReadableFormat<T>, line: string, header?: string): string {
  try {
    format.createDecoder(header).decode(line);
  } catch (error) {
    if (error instanceof FormatError) return error.message;
    throw error;
  }
  return 'no error';
}

test('json without a schema: bigints, maps and bytes as with one', (t) => {
  const { encode } = jsonLines().createEncoder();
  const record = {
    a: 5n,
    b: 2n ** 60n,
    c: new Map([['k', [1]]]),
    d: new Uint8Array([1, 2]),
    e: NaN,
  };
  t.is(encode(record), '{"a":5,"b":"1152921504606846976","c":{"k":[1]},"d":"AQI=","e":"NaN"}\n');
  t.throws(() => encode(undefined), { message: /^SCHEMA_MISMATCH: .* got nothing/ });
});

test('csv: columns by name, others ignored, absent optionals, and what is no value', (t) => {
  const schema = types.record({
    n: types.int32,
    s: types.string,
    o: types.optional(types.timestamp),
  });
  const read = (header: string, line: string): unknown =>
    csv(schema).createDecoder(header).decode(line);
  t.deepEqual(read('s,x,n', '"a ""b"", c",?,7'), { n: 7, s: 'a "b", c' });
  t.deepEqual(read('o,s,n', '1970-01-01T00:00:01Z,,7'), { n: 7, s: '', o: 1000 });
  t.deepEqual(read('o,s,n', ',,7'), { n: 7, s: '' });
  t.regex(
    reasonOf(csv(schema), '7.5,a,', 'n,s,o'),
    /^field 'n': expected int32 .*, got string "7.5"$/,
  );
  t.regex(reasonOf(csv(schema), '99999999999,a,', 'n,s,o'), /^field 'n': expected int32/);
  t.regex(reasonOf(csv(schema), '7,a"b",', 'n,s,o'), /^not CSV/);
  t.throws(() => csv(types.record({ a: types.array(types.string) })), {
    message: /^SCHEMA_INVALID: csv: field 'a' is .*; flatten it, or use jsonLines$/,
  });
  t.throws(() => csv(schema, { delimiter: '"' }), { message: /^PARAM_INVALID/ });
  t.throws(() => csv(schema).createEncoder().encode({ n: 1, s: 'two\nlines' }), {
    message: /^SCHEMA_MISMATCH: .* field 's' holds a line break/,
  });
});

test('timestamps: ISO 8601 with a zone, real days only', (t) => {
  for (const moment of [
    '2024-02-29T23:59:59.123Z',
    '0099-01-01T00:00:00.000Z',
    '1969-12-31T23:59:59.999Z',
  ]) {
    t.is(parseIsoTimestamp(moment), Date.parse(moment));
  }
  t.is(parseIsoTimestamp('2024-01-01 02:30+02:30'), Date.parse('2024-01-01T00:00:00Z'));
  t.is(
    parseIsoTimestamp('2024-01-01T00:00:00.123456789-0100'),
    Date.parse('2024-01-01T01:00:00.123Z'),
  );
  for (const other of [
    '2024-01-01',
    '2024-01-01T00:00:00',
    '2023-02-29T00:00:00Z',
    '2024-01-01T24:00:00Z',
    'x',
    '2024-13-01T00:00:00Z',
  ]) {
    t.is(parseIsoTimestamp(other), undefined);
  }
});
