import { isDeepStrictEqual } from 'node:util';
import test from 'ava';
import avsc, { type Type } from 'avsc';
import fc from 'fast-check';
import { t as types, type Schema } from '../../../api/schema.js';
import { avro, FormatError } from '../../../connectors/formats/index.js';
import { AvroMismatch, compileAvroReader } from '../../../connectors/formats/avro-reader.js';
import { schemaOfAvro } from '../../../connectors/formats/avro-schema.js';
import { parseAvroSchema } from '../../../connectors/formats/avro-type.js';
import { WireReader } from '../../../connectors/formats/wire-reader.js';
import { validate } from '../../../core/schema-validate.js';
import { describeSchema } from '../../../core/schema-text.js';
import { CONTEXT, decodeOne, decodeWith, encodeOne, mutated, wrongAnswer } from './format-bytes.js';
import { seeded } from './json-texts.js';

const SEED = 20_240_229;
const MUTATIONS = 10_000;

const Order = {
  type: 'record',
  name: 'Order',
  namespace: 'shop',
  fields: [
    { name: 'id', type: 'string' },
    { name: 'count', type: 'int' },
    { name: 'big', type: 'long' },
    { name: 'price', type: 'double' },
    { name: 'ratio', type: 'float' },
    { name: 'paid', type: 'boolean' },
    { name: 'raw', type: 'bytes' },
    { name: 'hash', type: { type: 'fixed', name: 'Hash', size: 4 } },
    { name: 'at', type: { type: 'long', logicalType: 'timestamp-millis' } },
    { name: 'exactly', type: { type: 'long', logicalType: 'timestamp-micros' } },
    { name: 'state', type: { type: 'enum', name: 'State', symbols: ['NEW', 'SENT'] } },
    { name: 'tags', type: { type: 'array', items: 'string' } },
    { name: 'totals', type: { type: 'map', values: 'long' } },
    { name: 'note', type: ['null', 'string'], default: null },
    { name: 'previous', type: [{ type: 'enum', name: 'P', symbols: ['A'] }, 'null'] },
    {
      name: 'customer',
      type: { type: 'record', name: 'Customer', fields: [{ name: 'name', type: 'string' }] },
    },
    { name: 'others', type: { type: 'array', items: ['null', 'Customer'] } },
  ],
} as const;

const order = {
  id: 'größe',
  count: -7,
  big: 2n ** 62n + 1n,
  price: -0.1,
  ratio: 0.5,
  paid: true,
  raw: Uint8Array.of(0, 255),
  hash: Uint8Array.of(1, 2, 3, 4),
  at: 1_700_000_000_123,
  exactly: -1,
  state: 'SENT',
  tags: ['a', '', 'x'.repeat(300)],
  totals: new Map([['€', -5n]]),
  previous: 'A',
  customer: { name: 'Ada' },
  others: [{ name: 'B' }, undefined],
};

test('an Avro schema gives the schema of its records, which come back as they were', async (t) => {
  const format = avro({ avroSchema: Order });
  t.is(
    describeSchema(format.schema),
    '{ id: string, count: int32, big: int64, price: float64, ratio: float64, paid: boolean, ' +
      'raw: bytes, hash: bytes, at: timestamp, exactly: timestamp, state: "NEW" | "SENT", ' +
      'tags: array<string>, totals: map<int64>, note?: string, previous?: "A", ' +
      'customer: { name: string }, others: array<{ name: string }?> }',
  );
  const bytes = await encodeOne(format, order);
  t.deepEqual(await decodeOne(format, bytes), order);
  const long = avsc.types.LongType.__with({
    fromBuffer: (buffer: Buffer) => buffer.readBigInt64LE(),
    toBuffer: (value: bigint) => {
      const buffer = Buffer.alloc(8);
      buffer.writeBigInt64LE(value);
      return buffer;
    },
    fromJSON: BigInt,
    toJSON: Number,
    isValid: (value: unknown) => typeof value === 'bigint',
    compare: (a: bigint, b: bigint) => (a < b ? -1 : a > b ? 1 : 0),
  });
  const type = avsc.Type.forSchema(structuredClone(Order) as unknown as avsc.Schema, {
    registry: { long },
  });
  const theirs = type.fromBuffer(bytes) as Readonly<Record<string, unknown>>;
  t.like(theirs, { id: 'größe', big: 2n ** 62n + 1n, exactly: -1000, totals: { '€': -5n } });
  t.deepEqual(type.toBuffer(theirs), bytes);
});

/** Avro schemas with all that has a schema of ours, each name once. */
function avroArbitrary(depth: number): fc.Arbitrary<object | string> {
  const leaves = fc.constantFrom<(object | string)[]>(
    ...['boolean', 'int', 'long', 'float', 'double', 'bytes', 'string'],
    { type: 'long', logicalType: 'timestamp-millis' },
    { type: 'enum', name: 'E', symbols: ['A', 'B', 'C'] },
    { type: 'fixed', name: 'F', size: 3 },
  );
  if (depth === 0) return leaves;
  const inner = avroArbitrary(depth - 1);
  const optional = fc
    .tuple(inner, fc.boolean())
    .filter(([type]) => !Array.isArray(type))
    .map(([type, isFirst]) => (isFirst ? ['null', type] : [type, 'null']));
  const record = fc
    .array(fc.oneof(inner, optional), { minLength: 1, maxLength: 5 })
    .map((fields) => ({
      type: 'record',
      name: 'R',
      fields: fields.map((type, index) => ({
        name: ['toString', 'a', '__defineGetter__', 'b', '_c'][index],
        type,
      })),
    }));
  return fc.oneof(
    leaves,
    record,
    record,
    fc.oneof(inner, optional).map((items) => ({ type: 'array', items })),
    fc.oneof(inner, optional).map((values) => ({ type: 'map', values })),
  );
}

/** The schema with a name of its own for each type that needs one. */
function named(schema: object | string): avsc.Schema {
  let count = 0;
  return JSON.parse(
    JSON.stringify(schema, (key, value: unknown) =>
      key === 'name' && /^[REF]$/.test(String(value)) ? `${String(value)}${count++}` : value,
    ),
  ) as avsc.Schema;
}

const samples = fc.sample(avroArbitrary(3), { numRuns: 60, seed: SEED }).map((sample) => {
  const schema = named(sample);
  return { schema, type: avsc.Type.forSchema(schema, { wrapUnions: true }) };
});

function randomBytes(type: Type, count: number): Buffer[] {
  return Array.from({ length: count }, () => type.toBuffer(type.random()));
}

test('records of any schema are read as avsc wrote them, and written as avsc does', async (t) => {
  for (const { schema, type } of samples) {
    const format = avro({ avroSchema: schema });
    const decoder = format.createDecoder(CONTEXT);
    const encoder = await format.createEncoder(CONTEXT);
    const target = Buffer.alloc(1 << 16);
    for (const bytes of randomBytes(type, 20)) {
      const record = decodeWith(decoder, bytes);
      t.is(validate(format.schema, record), undefined);
      const again = target.subarray(0, encoder.encode(record, target, 0));
      if (!again.equals(bytes)) t.deepEqual(again, bytes, JSON.stringify(schema));
    }
  }
});

test('changed bytes are refused in words or read as what they are', async (t) => {
  const random = seeded(SEED);
  const perSample = MUTATIONS / samples.length;
  for (const { schema, type } of samples) {
    const format = avro({ avroSchema: schema });
    const decoder = format.createDecoder(CONTEXT);
    const encoder = await format.createEncoder(CONTEXT);
    const target = Buffer.alloc(1 << 16);
    for (const bytes of randomBytes(type, perSample)) {
      const changed = mutated(random, bytes);
      const wrong = wrongAnswer(decoder, changed, (record) =>
        target.subarray(0, encoder.encode(record, target, 0)),
      );
      if (wrong !== undefined)
        t.fail(`${JSON.stringify(schema)} ${changed.toString('hex')}: ${wrong}`);
    }
  }
  t.pass();
});

test('what a writer of an older or newer schema wrote is resolved as avsc does', (t) => {
  const record = (name: string, ...fields: object[]): object => ({ type: 'record', name, fields });
  const inner = (...fields: object[]): object => ({
    name: 'inner',
    type: record('Inner', ...fields),
  });
  const tree = record('Tree', { name: 'left', type: ['null', 'Tree'] });
  const pairs: readonly (readonly [object, object])[] = [
    [
      record(
        'R',
        { name: 'a', type: 'int' },
        { name: 'b', type: 'long' },
        { name: 'c', type: 'float' },
      ),
      record(
        'R',
        { name: 'c', type: 'double' },
        { name: 'a', type: 'long' },
        { name: 'b', type: 'double' },
      ),
    ],
    [
      record('R', { name: 'a', type: 'string' }, inner({ name: 'x', type: 'int' })),
      record(
        'R',
        { name: 'a', type: 'bytes' },
        inner({ name: 'x', type: 'float' }, { name: 'y', type: 'string', default: 'new' }),
      ),
    ],
    [
      record(
        'R',
        { name: 'gone', type: tree },
        { name: 'map', type: { type: 'map', values: ['null', 'int', 'string'] } },
        { name: 'a', type: 'int' },
      ),
      record(
        'R',
        { name: 'a', type: 'int' },
        { name: 'tags', type: { type: 'array', items: 'string' }, default: ['x', 'y'] },
      ),
    ],
    [
      record('R', { name: 'a', type: 'int' }, { name: 'b', type: ['null', 'int'] }),
      record(
        'R',
        { name: 'a', type: ['null', 'long'] },
        { name: 'b', type: ['double', 'null'] },
        { name: 'c', type: ['null', 'string'], default: null },
      ),
    ],
    [
      record('R', { name: 'old', type: 'int' }),
      record('R', { name: 'renamed', aliases: ['old'], type: 'int' }),
    ],
    [
      record('R', { name: 'e', type: { type: 'enum', name: 'E', symbols: ['A', 'B', 'C'] } }),
      record('R', { name: 'e', type: { type: 'enum', name: 'E', symbols: ['C', 'A', 'B', 'D'] } }),
    ],
    [
      record('R', {
        name: 'list',
        type: {
          type: 'array',
          items: record('I', { name: 'x', type: 'int' }, { name: 'y', type: 'fixed3' }),
        },
      }),
      record('R', {
        name: 'list',
        type: { type: 'array', items: record('I', { name: 'x', type: ['null', 'int'] }) },
      }),
    ],
  ];
  const fixed3 = { type: 'fixed', name: 'fixed3', size: 3 } as const;
  for (const [writer, reader] of pairs) {
    const [writerType, readerType] = [writer, reader].map((schema) => {
      const text = JSON.stringify(schema).replace('"fixed3"', JSON.stringify(fixed3));
      return avsc.Type.forSchema(JSON.parse(text) as avsc.Schema, { wrapUnions: true });
    }) as [Type, Type];
    const resolver = readerType.createResolver(writerType);
    const target = parseAvroSchema(readerType.schema({ exportAttrs: true }));
    const schema = schemaOfAvro(target);
    const source = parseAvroSchema(writerType.schema({ exportAttrs: true }));
    const resolve = compileAvroReader(source, target, schema);
    const read = compileAvroReader(target, target, schema);
    for (const bytes of randomBytes(writerType, 50)) {
      const theirs = readerType.toBuffer(readerType.fromBuffer(bytes, resolver));
      const run = (from: Buffer, how: typeof read): unknown => {
        const wire = new WireReader();
        wire.begin(from);
        wire.open(0, from.length);
        const result = how(wire);
        wire.finish();
        return result;
      };
      const [ours, expected] = [run(bytes, resolve), run(theirs, read)];
      if (!isDeepStrictEqual(ours, expected)) t.deepEqual(ours, expected, JSON.stringify(writer));
    }
  }
  t.pass();
});

test('schemas that can not be resolved are told by the field', (t) => {
  const compile = (writer: unknown, reader: unknown): unknown => {
    const [from, to] = [writer, reader].map((fields) =>
      parseAvroSchema({ type: 'record', name: 'R', fields }),
    ) as [ReturnType<typeof parseAvroSchema>, ReturnType<typeof parseAvroSchema>];
    return compileAvroReader(from, to, schemaOfAvro(to));
  };
  const a = (type: unknown) => [{ name: 'a', type }];
  for (const [writer, reader, message] of [
    [a('long'), a('int'), "field 'a': the writer has long, the reader int"],
    [
      a('int'),
      [{ name: 'b', type: 'int' }],
      "field 'b': the writer has no such field, and it has no default",
    ],
    [
      a({ type: 'long', logicalType: 'timestamp-millis' }),
      a({ type: 'long', logicalType: 'timestamp-micros' }),
      "field 'a': the writer has timestamp-millis, the reader timestamp-micros",
    ],
    [
      a({ type: 'array', items: 'string' }),
      a({ type: 'array', items: 'int' }),
      "field 'a[]': the writer has string, the reader int",
    ],
    [a(['null', 'string']), a('string'), undefined],
    [a(['null', 'string']), a('long'), "field 'a': the writer has null, the reader long"],
  ] as const) {
    if (message === undefined) t.notThrows(() => compile(writer, reader));
    else t.throws(() => compile(writer, reader), { instanceOf: AvroMismatch, message });
  }
});

test('a schema is checked against the Avro schema, by field', (t) => {
  const fields = (schema: Readonly<Record<string, Schema>>) => () =>
    avro({ avroSchema: Order, schema: types.record(schema) });
  for (const [schema, message] of [
    [{ id: types.int32 }, "field 'id': string can't be int32; make it t.string"],
    [{ note: types.string }, "field 'note': [null, string] can't be string; make it t.optional"],
    [
      { other: types.string },
      "field 'other': record shop.Order of the Avro schema has no such field; leave it out of the schema",
    ],
    [
      { big: types.string },
      "field 'big': long can't be string; make it t.int64 or t.float64 or t.timestamp",
    ],
    [
      { state: types.literal('NEW') },
      "field 'state': enum shop.State can't be \"NEW\"; make it t.literal('NEW', 'SENT')",
    ],
    [
      { customer: types.record({ name: types.bytes }) },
      "field 'customer.name': string can't be bytes; make it t.string",
    ],
  ] as const) {
    t.throws(fields(schema), { code: 'SCHEMA_INVALID', message: `SCHEMA_INVALID: ${message}` });
  }
  t.notThrows(fields({ big: types.float64, exactly: types.int64, state: types.string }));
  t.throws(() => avro({ avroSchema: '{"type":"record"' }), { code: 'SCHEMA_INVALID' });
  t.throws(
    () =>
      avro({
        avroSchema: { type: 'record', name: 'T', fields: [{ name: 't', type: ['null', 'T'] }] },
      }),
    {
      message: /^SCHEMA_INVALID: field 't': record T holds itself/,
    },
  );
  t.throws(() => avro({ avroSchema: ['int', 'string'] }), {
    message: /it has the union \[int, string\]/,
  });
});

test('a job may leave fields out, and longs may be numbers where they fit', async (t) => {
  const Part = types.record({ big: types.float64, id: types.string });
  const part = avro({ avroSchema: Order, schema: Part });
  const whole = avro({ avroSchema: Order });
  t.deepEqual(await decodeOne(part, await encodeOne(whole, { ...order, big: -42n })), {
    big: -42,
    id: 'größe',
  });
  await t.throwsAsync(decodeOne(part, await encodeOne(whole, order)), {
    instanceOf: FormatError,
    message: /beyond 2\^53/,
  });
  await t.throwsAsync(part.createEncoder(CONTEXT), {
    message: /^SCHEMA_INVALID: field 'count': the Avro schema has it without a default/,
  });
});

test('a union of records is a tagged union, its variants by the name of the records', async (t) => {
  const record = (name: string, type: string) => ({
    type: 'record',
    name,
    fields: [{ name: 'x', type }],
  });
  const avroSchema = ['null', record('a.Card', 'string'), record('a.Wire', 'int')];
  const schema = types.optional(
    types.union('kind', {
      Wire: types.record({ x: types.int32 }),
      Card: types.record({ x: types.string }),
    }),
  );
  const format = avro({ avroSchema, schema });
  for (const value of [{ kind: 'Wire', x: 5 }, { kind: 'Card', x: 'c' }, undefined] as const) {
    t.deepEqual(await decodeOne(format, await encodeOne(format, value)), value);
  }
  const type = avsc.Type.forSchema(avroSchema as avsc.Schema, { wrapUnions: true });
  t.deepEqual(
    type.toBuffer({ 'a.Card': { x: 'c' } }),
    await encodeOne(format, { kind: 'Card', x: 'c' }),
  );
});

test('records that do not fit are refused by field as they are written', async (t) => {
  const format = avro({ avroSchema: Order });
  for (const [change, message] of [
    [{ id: 5 }, /can't write a record as Avro: field 'id': expected string, got number 5/],
    [{ hash: Uint8Array.of(1) }, /field 'hash': expected 4 bytes, got 1 bytes/],
    [{ state: 'LOST' }, /field 'state': expected NEW \| SENT, got string "LOST"/],
    [{ big: 2n ** 63n }, /field 'big': expected int64/],
    [{ exactly: 2 ** 53 - 1 }, undefined],
    [{ customer: undefined }, /field 'customer': expected/],
  ] as const) {
    const written = encodeOne(format, { ...order, ...change });
    if (message === undefined) await t.notThrowsAsync(written);
    else await t.throwsAsync(written, { code: 'SCHEMA_MISMATCH', message });
  }
});

test('a length or a count that the bytes do not hold costs nothing', (t) => {
  const decode = (avroSchema: object | string, hex: string) => () =>
    decodeWith(avro({ avroSchema }).createDecoder(CONTEXT), Buffer.from(hex, 'hex'));
  const list = { type: 'array', items: 'int' };
  t.throws(decode(list, 'feffffffffffffffff01'), { message: 'more items than bytes' });
  t.throws(decode('string', 'feffffff0f'), { message: 'the bytes end within the record' });
  t.throws(decode('string', '01'), { message: 'a length of -1' });
  t.throws(decode('long', 'ffffffffffffffffffff01'), {
    message: 'an integer of more than 64 bits',
  });
  t.throws(decode('string', '04c328'), { message: 'text that is no UTF-8' });
  t.throws(decode('int', '0000'), { message: 'the record ends 1 bytes before its bytes' });
  t.deepEqual(decode('long', 'ffffffffffffffffff01')(), -(2n ** 63n));
});
