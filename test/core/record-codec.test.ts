import { deepStrictEqual } from 'node:assert';
import test from 'ava';
import fc from 'fast-check';
import { t } from '../../api/schema.js';
import { isMillraceError } from '../../core/errors.js';
import {
  compileRecordCodec,
  NO_TIMESTAMP,
  type DecodedChunk,
  type RecordCodec,
} from '../../core/record-codec.js';
import { schemaWithValues, textArbitrary } from './schema-arbitraries.js';

function emptyChunk<T>(): DecodedChunk<T> {
  return { values: [], timestamps: new Float64Array(0), count: 0 };
}

function roundTrip<T>(codec: RecordCodec<T>, values: readonly T[]): T[] {
  const timestamps = values.map((_, index) => index);
  return codec.decode(codec.encode(values, timestamps), emptyChunk()).values;
}

const Transaction = t.record({
  id: t.string,
  price: t.float64,
  pieces: t.int32,
  total: t.int64,
  at: t.timestamp,
  paid: t.boolean,
  raw: t.bytes,
  method: t.literal('card', 'cash'),
  geo: t.record({ lat: t.float64, lon: t.float64 }),
  tags: t.array(t.string),
  scores: t.map(t.float64),
  note: t.optional(t.string),
});
const transaction: t.infer<typeof Transaction> = {
  id: 'tx-1',
  price: 9.5,
  pieces: -3,
  total: 2n ** 60n,
  at: 1_700_000_000_000,
  paid: true,
  raw: Uint8Array.of(1, 2, 3),
  method: 'cash',
  geo: { lat: 48.1, lon: 11.5 },
  tags: ['new', 'größe', '日本'],
  scores: new Map([['risk', 0.5]]),
};

test('any values of any schema survive a chunk', (check) => {
  fc.assert(
    fc.property(schemaWithValues, ({ schema, values }) => {
      deepStrictEqual(roundTrip(compileRecordCodec(schema), values), values);
    }),
    { numRuns: 300 },
  );
  check.pass();
});

test('event times survive, also those of records that have none', (check) => {
  const codec = compileRecordCodec(t.string);
  const timestamps = [5, NO_TIMESTAMP, -1, Number.MAX_SAFE_INTEGER];
  const chunk = codec.decode(codec.encode(['a', 'b', 'c', 'd'], timestamps), emptyChunk());
  check.deepEqual([...chunk.timestamps], timestamps);
  check.is(chunk.count, 4);
});

test('strings of every length and width survive, lone surrogates too', (check) => {
  const codec = compileRecordCodec(t.string);
  const long = 'x'.repeat(70_000);
  for (const values of [
    [''],
    ['', 'a', ''],
    [long, 'b', long],
    ['é', 'ÿ'],
    ['Ā', long, '\ud800'],
    ['x'.repeat(65_534), 'y'.repeat(65_535), 'z'.repeat(65_536)],
  ]) {
    check.deepEqual(roundTrip(codec, values), values);
  }
});

test('a builder grows beyond its capacity and starts anew after each chunk', (check) => {
  const codec = compileRecordCodec(Transaction);
  const builder = codec.builder(2);
  const into = emptyChunk<t.infer<typeof Transaction>>();
  for (const count of [5, 0, 1, 40]) {
    for (let i = 0; i < count; i++) builder.append({ ...transaction, id: `tx-${String(i)}` }, i);
    check.is(builder.count, count);
    const chunk = builder.finish();
    check.is(chunk.byteLength, chunk.buffer.byteLength);
    check.is(builder.count, 0);
    codec.decode(chunk, into);
    check.is(into.count, count);
    check.deepEqual(
      into.values.map((value) => value.id),
      Array.from({ length: count }, (_, i) => `tx-${String(i)}`),
    );
  }
});

test('the byte estimate is the size of the chunk but for its header', (check) => {
  const builder = compileRecordCodec(t.record({ a: t.string, b: t.array(t.bytes) })).builder();
  builder.append({ a: 'x'.repeat(70_000), b: [new Uint8Array(10), new Uint8Array(20)] }, 1);
  builder.append({ a: 'short', b: [] }, 2);
  const estimate = builder.byteEstimate;
  const size = builder.finish().length;
  check.true(size >= estimate && size - estimate <= 64, `${String(size)} for ${String(estimate)}`);
  check.is(builder.byteEstimate, 0);
});

test('all records of a chunk are plain objects with the fields in schema order', (check) => {
  const schema = t.record({ b: t.string, a: t.float64 });
  const [record] = roundTrip(compileRecordCodec(schema), [{ a: 1, b: 'x' }]);
  check.deepEqual(Object.keys(record ?? {}), ['b', 'a']);
  check.is(Object.getPrototypeOf(record), Object.prototype);
});

test('an optional field that is undefined is absent after the journey', (check) => {
  const schema = t.record({ toJSON: t.optional(t.string), a: t.int32 });
  const codec = compileRecordCodec(schema);
  const [record] = roundTrip(codec, [{ a: 1 }]);
  check.deepEqual(Object.keys(record ?? {}), ['a']);
});

const wrong: readonly [string, unknown, string][] = [
  [
    'text for a number',
    { ...transaction, geo: { lat: 'x', lon: 1 } },
    `field 'geo.lat': expected float64, got string "x"`,
  ],
  [
    'a missing field',
    { ...transaction, id: undefined },
    `field 'id': expected string, got nothing`,
  ],
  ['a fraction', { ...transaction, pieces: 1.5 }, `field 'pieces': expected int32`],
  ['too large an integer', { ...transaction, pieces: 2 ** 31 }, `field 'pieces': expected int32`],
  ['too large a bigint', { ...transaction, total: 2n ** 63n }, `field 'total': expected int64`],
  ['a number for a bigint', { ...transaction, total: 1 }, `field 'total': expected int64`],
  ['an endless time', { ...transaction, at: Infinity }, `field 'at': expected timestamp`],
  [
    'an unknown literal',
    { ...transaction, method: 'cheque' },
    `field 'method': expected "card" | "cash", got string "cheque"`,
  ],
  [
    'an element of another type',
    { ...transaction, tags: ['a', 7] },
    `field 'tags[1]': expected string, got number 7`,
  ],
  [
    'a map value of another type',
    { ...transaction, scores: new Map([['k', 'v']]) },
    `field 'scores{"k"}': expected float64`,
  ],
  [
    'a plain object for a map',
    { ...transaction, scores: {} },
    `field 'scores': expected map<float64>, got record`,
  ],
  [
    'null for an optional',
    { ...transaction, note: null },
    `field 'note': expected string, got null`,
  ],
  ['null for a record', null, 'value: expected { id: string'],
];

for (const [what, value, message] of wrong) {
  test(`${what} is refused with its path, and the builder goes on`, (check) => {
    const codec = compileRecordCodec(Transaction);
    const builder = codec.builder();
    builder.append(transaction, 1);
    const error = check.throws(() => {
      builder.append(value as typeof transaction, 2);
    });
    check.true(isMillraceError(error) && error.code === 'SCHEMA_MISMATCH');
    check.true(error.message.includes(message), error.message);
    builder.append(transaction, 3);
    const chunk = codec.decode(builder.finish(), emptyChunk());
    check.deepEqual(chunk.values, [transaction, transaction]);
    check.deepEqual([...chunk.timestamps], [1, 3]);
  });
}

test('a failed record with a long string and bytes leaves no trace', (check) => {
  const schema = t.record({ a: t.string, b: t.array(t.bytes), c: t.int32 });
  const codec = compileRecordCodec(schema);
  const builder = codec.builder();
  const good = { a: 'y'.repeat(66_000), b: [Uint8Array.of(9)], c: 1 };
  check.throws(() => {
    builder.append({ ...good, c: 0.5 }, 0);
  });
  builder.append(good, 0);
  check.deepEqual(codec.decode(builder.finish(), emptyChunk()).values, [good]);
});

test('an event time that is not a number is refused', (check) => {
  const builder = compileRecordCodec(t.string).builder();
  const error = check.throws(() => {
    builder.append('a', NaN);
  });
  check.true(error.message.includes('event time'));
});

test('a chunk of another schema is refused', (check) => {
  const chunk = compileRecordCodec(t.record({ a: t.string })).encode([{ a: 'x' }], [0]);
  const other = compileRecordCodec(t.record({ b: t.string }));
  check.throws(() => other.decode(chunk, emptyChunk()), { message: /^WIRE_CORRUPT: .*schema/ });
});

test('a chunk is read at any offset of a larger buffer', (check) => {
  const codec = compileRecordCodec(Transaction);
  const chunk = codec.encode([transaction], [1]);
  for (let offset = 0; offset < 9; offset++) {
    const larger = Buffer.alloc(chunk.length + 16, 0xff);
    larger.set(chunk, offset);
    const view = larger.subarray(offset, offset + chunk.length);
    check.deepEqual(codec.decode(view, emptyChunk()).values, [transaction]);
  }
});

test('garbled or truncated chunks give a clean error or some records', (check) => {
  const edit = fc.tuple(fc.nat(), fc.nat({ max: 255 }));
  fc.assert(
    fc.property(
      schemaWithValues,
      fc.array(edit, { maxLength: 4 }),
      fc.nat(),
      ({ schema, values }, edits, cut) => {
        const codec = compileRecordCodec(schema);
        const chunk = codec.encode(values, new Float64Array(values.length));
        for (const [at, byte] of edits) chunk[at % chunk.length] = byte;
        const kept = cut % 3 === 0 ? chunk.subarray(0, cut % (chunk.length + 1)) : chunk;
        try {
          codec.decode(kept, emptyChunk());
        } catch (error) {
          if (!(isMillraceError(error) && error.code === 'WIRE_CORRUPT')) throw error;
        }
      },
    ),
    { numRuns: 600 },
  );
  check.pass();
});

test('each forged header word is refused or harmless', (check) => {
  const schema = t.array(t.record({ none: t.optional(t.record({})), m: t.map(t.record({})) }));
  const codec = compileRecordCodec(schema);
  const chunk = codec.encode([[{ m: new Map([['k', {}]]) }]], [0]);
  for (let word = 0; word < 20; word++) {
    for (const forged of [1, 0xffff, 0x7fffffff, 0xffffffff]) {
      const copy = chunk.slice();
      new DataView(copy.buffer).setUint32(Math.min(word * 4, copy.length - 4), forged, true);
      try {
        codec.decode(copy, emptyChunk());
      } catch (error) {
        check.true(isMillraceError(error) && error.code === 'WIRE_CORRUPT', String(error));
      }
    }
  }
  check.pass();
});

test('text of a chunk joins and parts at the right places', (check) => {
  const codec = compileRecordCodec(
    t.record({ a: t.string, b: t.optional(t.string), c: t.array(t.string), d: t.string }),
  );
  fc.assert(
    fc.property(
      fc.array(
        fc.record(
          { a: textArbitrary, b: textArbitrary, c: fc.array(textArbitrary), d: textArbitrary },
          { requiredKeys: ['a', 'c', 'd'] },
        ),
      ),
      (values) => {
        deepStrictEqual(
          roundTrip(codec, values),
          values.map((value) => ({ ...value })),
        );
      },
    ),
  );
  check.pass();
});
