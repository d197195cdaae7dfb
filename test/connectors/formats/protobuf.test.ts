import test from 'ava';
import fc from 'fast-check';
import protobufjs from 'protobufjs';
import { t as types, type Schema } from '../../../api/schema.js';
import { protobuf } from '../../../connectors/formats/index.js';
import { describeSchema } from '../../../core/schema-text.js';
import { CONTEXT, decodeOne, decodeWith, encodeOne, mutated, wrongAnswer } from './format-bytes.js';
import { seeded } from './json-texts.js';

const SEED = 20_240_229;
const MUTATIONS = 10_000;

const PROTO = `
syntax = "proto3";
package shop;
import "google/protobuf/timestamp.proto";
message First {}
message Order {
  enum State { NEW = 0; SENT = 5; LOST = -1; }
  message Line { string item = 1; int32 count = 2; optional Line gift = 3; }
  string id = 1;
  int32 a = 2; sint32 b = 3; sfixed32 c = 4; uint32 d = 5; fixed32 e = 6;
  int64 f = 7; sint64 g = 8; sfixed64 h = 9; uint64 i = 10; fixed64 j = 11;
  double k = 12; float l = 13; bool m = 14; bytes n = 15;
  State state = 16;
  google.protobuf.Timestamp at = 17;
  Line line = 18;
  repeated Line lines = 19;
  repeated sint64 numbers = 20;
  repeated string tags = 21;
  repeated State states = 22;
  repeated int32 loose = 23 [packed = false];
  map<string, Line> by_name = 24;
  map<string, int64> totals = 25;
  optional int32 maybe = 26;
  oneof payment { string card = 27; Line voucher = 28; int32 points = 29; }
  map<int32, string> by_number = 30;
}
message Beside { Order order = 1; message Inner { message Inmost { string x = 1; } } }
`;

const Line = types.record({ item: types.string, count: types.int32 });
const Order = types.record({
  id: types.string,
  ...{ a: types.int32, b: types.int32, c: types.int32, d: types.float64, e: types.float64 },
  ...{ f: types.int64, g: types.int64, h: types.int64, i: types.int64, j: types.int64 },
  ...{ k: types.float64, l: types.float64, m: types.boolean, n: types.bytes },
  state: types.literal('NEW', 'SENT', 'LOST'),
  at: types.optional(types.timestamp),
  line: types.optional(Line),
  lines: types.array(Line),
  numbers: types.array(types.int64),
  tags: types.array(types.string),
  states: types.array(types.string),
  loose: types.array(types.int32),
  by_name: types.map(Line),
  totals: types.map(types.int64),
  maybe: types.optional(types.int32),
  ...{ card: types.optional(types.string), points: types.optional(types.int32) },
  voucher: types.optional(Line),
});
type OrderRecord = types.infer<typeof Order>;

const format = protobuf({ proto: PROTO, message: 'Order', schema: Order });
const theirType = (() => {
  const { root } = protobufjs.parse(PROTO, { keepCase: true });
  root.addJSON(protobufjs.common.get('google/protobuf/timestamp.proto')?.nested ?? {});
  return root.lookupType('shop.Order');
})();

const lineArbitrary = fc.record({ item: fc.string({ unit: 'grapheme' }), count: fc.integer() });
const [signed, unsigned] = [
  fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
  fc.bigInt({ min: 0n, max: 2n ** 63n - 1n }),
];
/** Numbers would be put in order by what protobufjs makes of a map. */
const keyArbitrary = fc.string({ unit: 'grapheme' }).map((key) => `k${key}`);
const uint32 = fc.nat({ max: 0xffffffff });
const orderArbitrary: fc.Arbitrary<OrderRecord> = fc
  .tuple(
    fc.record({
      id: fc.string({ unit: 'grapheme', maxLength: 60 }),
      ...{ a: fc.integer(), b: fc.integer(), c: fc.integer(), d: uint32, e: uint32 },
      ...{ f: signed, g: signed, h: signed, i: unsigned, j: unsigned },
      ...{ k: fc.double(), l: fc.float(), m: fc.boolean(), n: fc.uint8Array() },
      state: fc.constantFrom('NEW' as const, 'SENT' as const, 'LOST' as const),
      lines: fc.array(lineArbitrary, { maxLength: 3 }),
      numbers: fc.array(signed),
      tags: fc.array(fc.string({ unit: 'grapheme' })),
      states: fc.array(fc.constantFrom('NEW', 'LOST')),
      loose: fc.array(fc.integer()),
      by_name: fc.array(fc.tuple(keyArbitrary, lineArbitrary)).map((all) => new Map(all)),
      totals: fc.array(fc.tuple(keyArbitrary, signed)).map((all) => new Map(all)),
    }),
    fc.record(
      {
        at: fc.integer({ min: -(2 ** 45), max: 2 ** 45 }),
        line: lineArbitrary,
        maybe: fc.integer(),
      },
      { requiredKeys: [] },
    ),
    fc.oneof(
      fc.constant({}),
      fc.record({ card: fc.string() }),
      fc.record({ voucher: lineArbitrary }),
      fc.record({ points: fc.integer() }),
    ),
  )
  .map(([always, sometimes, payment]) => ({ ...always, ...sometimes, ...payment }));

const samples = fc.sample(orderArbitrary, { numRuns: 300, seed: SEED });

test('records come back as they were, and protobufjs reads what it would have written', async (t) => {
  const encoder = await format.createEncoder(CONTEXT);
  const decoder = format.createDecoder(CONTEXT);
  const target = Buffer.alloc(1 << 16);
  for (const order of samples) {
    const bytes = target.subarray(0, encoder.encode(order, target, 0));
    t.deepEqual(decodeWith(decoder, bytes), order);
    // Theirs is written from what they have read of ours, in the order of their own.
    const theirs = theirType.encode(theirType.decode(bytes)).finish();
    t.deepEqual(decodeWith(decoder, theirs), order);
    t.is(theirs.length, bytes.length);
    const object = theirType.toObject(theirType.decode(bytes), { longs: String, enums: String });
    t.is(object['f'] ?? '0', String(order.f));
    t.is(object['state'] ?? 'NEW', order.state);
    t.is(object['card'], order.card);
  }
});

test('a message without a field has the default of each, or nothing', async (t) => {
  const all = await decodeOne(format, Buffer.alloc(0));
  t.like(all, { id: '', a: 0, f: 0n, k: 0, m: false, n: new Uint8Array(0), state: 'NEW' });
  t.deepEqual([all.lines, all.totals, 'at' in all, 'maybe' in all], [[], new Map(), false, false]);
  t.is((await encodeOne(format, all)).length, 0);
  const zero = await encodeOne(format, { ...all, k: -0, maybe: 0, line: { item: '', count: 0 } });
  t.like(await decodeOne(format, zero), { k: -0, maybe: 0, line: { item: '', count: 0 } });
});

test('changed bytes are refused in words or read as what they are', async (t) => {
  const random = seeded(SEED);
  const encoder = await format.createEncoder(CONTEXT);
  const decoder = format.createDecoder(CONTEXT);
  const target = Buffer.alloc(1 << 16);
  const encode = (order: OrderRecord): Buffer =>
    target.subarray(0, encoder.encode(order, target, 0));
  const texts = samples.map((order) => Buffer.from(encode(order)));
  for (let count = 0; count < MUTATIONS; count++) {
    const changed = mutated(random, texts[count % texts.length] ?? Buffer.alloc(0));
    const wrong = wrongAnswer(decoder, changed, encode);
    if (wrong !== undefined) t.fail(`${changed.toString('hex')}: ${wrong}`);
  }
  t.pass();
});

test('a message in parts is put together, of a oneof the last one counts', async (t) => {
  const part = (fields: object): Uint8Array => theirType.encode(fields).finish();
  const read = (...parts: object[]) => decodeOne(format, Buffer.concat(parts.map(part)));
  t.like(await read({ line: { item: 'a' } }, { line: { count: 3 } }), {
    line: { item: 'a', count: 3 },
  });
  const last = await read({ card: 'c' }, { voucher: { item: 'v' } }, { points: 1 }, { card: 'd' });
  t.is(last.card, 'd');
  t.false('voucher' in last || 'points' in last);
  t.like(
    await read({ voucher: { item: 'v', count: 1 } }, { card: 'c' }, { voucher: { count: 2 } }),
    {
      voucher: { item: '', count: 2 },
    },
  );
  t.deepEqual((await read({ numbers: [1] }, { numbers: [-2, 3] })).numbers, [1n, -2n, 3n]);
  // Packed where it should not be, and the other way round.
  t.deepEqual((await decodeOne(format, Buffer.from('ba01020102', 'hex'))).loose, [1, 2]);
  t.deepEqual(
    (await decodeOne(format, Buffer.from('a001 02 a001 01'.replaceAll(' ', ''), 'hex'))).numbers,
    [1n, -1n],
  );
  // Fields of other versions, groups too.
  t.deepEqual(
    await decodeOne(format, Buffer.from('a30608 01a406a806 01'.replaceAll(' ', ''), 'hex')),
    await read(),
  );
});

test('a message gives the schema of its records', (t) => {
  const derived = protobuf({
    proto: `syntax = "proto3"; import "google/protobuf/timestamp.proto"; import "money.proto";
      message Payment { google.protobuf.Timestamp at = 1; bank.Money sum = 2; repeated uint64 ids = 3;
        oneof how { string card = 4; Kind kind = 5; } optional bool is_new = 6; enum Kind { A = 0; B = 1; } }`,
    imports: {
      'money.proto': 'syntax = "proto3"; package bank; message Money { int64 units = 1; }',
    },
    message: 'Payment',
  });
  t.is(
    describeSchema(derived.schema),
    '{ at?: timestamp, sum?: { units: int64 }, ids: array<int64>, card?: string, kind?: "A" | "B", is_new?: boolean }',
  );
});

test('what can not be is told by the field', (t) => {
  const make = (fields: Readonly<Record<string, Schema>>) => () =>
    protobuf({ proto: PROTO, message: 'Order', schema: types.record(fields) });
  for (const [fields, message] of [
    [{ id: types.int32 }, "field 'id': string can't be int32; make it t.string"],
    [
      { id: types.optional(types.string) },
      "field 'id': string can't be string?; don't make it t.optional: an absent one can't be told from its default",
    ],
    [
      { nope: types.string },
      "field 'nope': message shop.Order has no such field; leave it out of the schema",
    ],
    [
      { lines: Line },
      "field 'lines': repeated message shop.Order.Line can't be { item: string, count: int32 }; make it a t.array",
    ],
    [
      { by_number: types.map(types.string) },
      "field 'by_number': a map with keys of int32 can't be a t.map; leave it out of the schema: keys are strings",
    ],
    [
      { state: types.literal('NEW') },
      "field 'state': enum shop.Order.State can't be \"NEW\"; make it t.literal('NEW', 'SENT', 'LOST')",
    ],
  ] as const) {
    t.throws(make(fields), { code: 'SCHEMA_INVALID', message: `SCHEMA_INVALID: ${message}` });
  }
  const bad =
    (proto: string, message = 'M') =>
    () =>
      protobuf({ proto, message });
  t.throws(bad('message M {'), { message: /^SCHEMA_INVALID: not the text of a \.proto file/ });
  t.throws(bad('syntax = "proto3"; import "x.proto"; message M {}'), {
    message: /it imports "x.proto", which is not there/,
  });
  t.throws(bad('syntax = "proto3"; message M { Gone g = 1; }'), { message: /Gone/ });
  t.throws(bad('syntax = "proto3"; message N {}'), { message: /has no message M; name one of N/ });
  t.throws(bad(PROTO, 'Order'), {
    message: /field 'line.gift': message shop.Order.Line holds itself/,
  });
});

test('records that do not fit are refused by field, bytes by what is wrong with them', async (t) => {
  const [order] = samples;
  for (const [change, message] of [
    [{ id: 5 }, /can't write a record as Protobuf: field 'id': expected string, got number 5/],
    [{ d: -1 }, /field 'd': expected an integer below 2\^32, got number -1/],
    [{ d: 0.5 }, /field 'd': expected an integer up to 2\^53, got number 0.5/],
    [{ i: -1n }, /field 'i': expected an integer that is not negative/],
    [{ state: 'GONE' }, /field 'state': expected NEW \| SENT \| LOST, got string "GONE"/],
    [{ card: 'x', points: 1 }, /expected one field of payment, got number 2/],
    [{ lines: [{ item: 'x' }] }, /field 'lines\[0\].count': expected int32/],
  ] as const) {
    const changed = { ...order, ...change } as unknown as OrderRecord;
    await t.throwsAsync(encodeOne(format, changed), { code: 'SCHEMA_MISMATCH', message });
  }
  const strict = protobuf({
    proto: PROTO,
    message: 'Order',
    schema: types.record({ at: types.timestamp, f: types.float64 }),
  });
  t.deepEqual(await decodeOne(strict, await encodeOne(strict, { at: -1, f: -5 })), {
    at: -1,
    f: -5,
  });
  for (const [hex, message] of [
    ['', "field 'at' is absent"],
    ['38ffffffffffffffff7f', '9223372036854776000 is beyond 2^53, which needs t.int64'],
    ['0001', 'a field of number 0'],
    ['8a0105', 'the bytes end within the record'],
    ['8c01', 'field 17 has the wire type 4'],
  ] as const) {
    await t.throwsAsync(decodeOne(strict, Buffer.from(hex, 'hex')), { message });
  }
  await t.throwsAsync(decodeOne(format, Buffer.from('800107', 'hex')), {
    message: 'the number 7, which the enum does not have',
  });
});
