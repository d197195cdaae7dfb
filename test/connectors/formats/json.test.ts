import { isDeepStrictEqual } from 'node:util';
import test from 'ava';
import fc from 'fast-check';
import { t as types, type Infer, type Schema } from '../../../api/schema.js';
import { FormatError, json } from '../../../connectors/formats/index.js';
import { JsonParser } from '../../../connectors/formats/json-parser.js';
import { compileScanner, scannerSource } from '../../../connectors/formats/json-scanner.js';
import {
  schemaArbitrary,
  schemaWithValues,
  valueArbitrary,
} from '../../core/schema-arbitraries.js';
import {
  faithfulText,
  outcomeOf,
  pick,
  seeded,
  slowReader,
  spaced,
  variantOf,
  type Random,
} from './json-texts.js';

const SEED = 20_240_229;
/** Texts of each schema. */
const ROUNDS = 2000;

const Transaction = types.record({
  id: types.string,
  user: types.optional(types.string),
  price: types.float64,
  count: types.int32,
  big: types.int64,
  at: types.timestamp,
  isPaid: types.boolean,
  method: types.literal('card', 'wallet', 'größe'),
  raw: types.bytes,
  tags: types.array(types.string),
  totals: types.map(types.float64),
  shape: types.union('kind', {
    circle: types.record({ radius: types.float64 }),
    box: types.record({ label: types.optional(types.string) }),
  }),
});
const Prices = types.record({ a: types.float64, b: types.optional(types.int32) });

interface Sample {
  readonly schema: Schema;
  readonly texts: readonly string[];
}

const samples: readonly Sample[] = [
  Transaction,
  Prices,
  ...fc.sample(schemaArbitrary(3), { numRuns: 24, seed: SEED }),
].map((schema) => {
  const { stringify } = json<unknown>(schema);
  const values = fc.sample(valueArbitrary(schema), { numRuns: 20, seed: SEED });
  return { schema, texts: values.map(stringify) };
});

/** A record's text with more of its batch before and behind it, up to two changes away from a valid one. */
function inBatch(random: Random, text: string): { batch: Buffer; start: number; end: number } {
  const changed =
    random() < 0.7 ? variantOf(random, text) : variantOf(random, variantOf(random, text));
  const bytes = Buffer.from(changed);
  if (random() < 0.03 && bytes.length > 0) bytes[Math.floor(random() * bytes.length)] = 0xc3;
  const before = Buffer.from(pick(random, ['', '{"a":1}', 'x']));
  const behind = Buffer.from(pick(random, ['', '"}', '7', text, '}']));
  const batch = Buffer.concat([before, bytes, behind]);
  return { batch, start: before.length, end: before.length + bytes.length };
}

/** Texts that a scanner of the source reads otherwise than the slow way does. */
function* differences(alter = (source: string): string => source): Generator<string> {
  const random = seeded(SEED);
  for (const { schema, texts } of samples) {
    const read = slowReader(schema);
    for (const isSpaced of [false, true]) {
      const layout = { sample: JSON.parse(pick(random, texts)) as unknown, isSpaced };
      const source = scannerSource(schema, layout);
      if (source === undefined) continue;
      const scan = compileScanner(alter(source));
      for (let round = 0; round < ROUNDS / 2; round++) {
        const plain = pick(random, texts);
        const { batch, start, end } = inBatch(random, isSpaced ? spaced(plain) : plain);
        const view = new DataView(batch.buffer, batch.byteOffset, batch.length);
        const record = scan(batch, view, start, end, batch.toString('latin1', start, end));
        if (record === undefined) continue;
        const bytes = batch.subarray(start, end);
        if (faithfulText(record) !== outcomeOf(() => read(bytes))) yield bytes.toString();
      }
    }
  }
}

test('whatever the scanner reads, it reads as JSON.parse and the check behind it do', (t) => {
  t.deepEqual([...differences()], []);
});

const faults: readonly (readonly [what: string, from: string, to: string])[] = [
  ['takes digits behind a zero', ' || (bytes[q] === 48 && p !== q + 1)', ''],
  ['rounds twice', '/= powers[', '*= 1 / powers['],
  ['takes too many digits', '> 15', '> 25'],
  ['loses the sign', 'if (q !== s)', 'if (false)'],
  ['does not look at the end', 'p === end ?', 'p > 0 ?'],
  ['ignores what is not a quote', 'p = textEnd(bytes, p);', 'p = bytes.indexOf(34, p);'],
  ['takes numbers of more than 32 bits', '| 0) !==', '| 0) ==='],
  ['keeps numbers in the order of the text', 'c >= 48 && c <= 57', 'false'],
];
for (const [what, from, to] of faults) {
  test(`a scanner that ${what} is found out`, (t) => {
    const [found] = differences((source) => source.replaceAll(from, to));
    t.is(typeof found, 'string');
  });
}

test('a parser gives what the slow way gives, as text and as bytes, whatever it has read before', (t) => {
  const random = seeded(SEED + 1);
  for (const { schema, texts } of samples) {
    const read = slowReader(schema);
    const parser = new JsonParser(schema, 'the value');
    for (let round = 0; round < 500; round++) {
      const { batch, start, end } = inBatch(random, pick(random, texts));
      const bytes = batch.subarray(start, end);
      const expected = outcomeOf(() => read(bytes));
      parser.begin(batch);
      t.is(
        outcomeOf(() => parser.decode(start, end)),
        expected,
      );
      const text = bytes.toString();
      if (!Buffer.from(text).equals(bytes)) continue;
      t.is(
        outcomeOf(() => parser.parse(text)),
        expected,
      );
    }
  }
});

test('what is written is JSON, and is read as it was, by any schema', async (t) => {
  await fc.assert(
    fc.asyncProperty(schemaWithValues, async ({ schema, values }) => {
      const format = json<unknown>(schema);
      const decoder = format.createDecoder({ subject: 'the value' });
      const encoder = await format.createEncoder({ subject: 'the value' });
      const target = Buffer.alloc(64 * 1024);
      for (const value of values) {
        const text = format.stringify(value);
        t.notThrows(() => JSON.parse(text) as unknown);
        t.true(isDeepStrictEqual(format.parse(text), value));
        const end = encoder.encode(value, target, 7);
        t.is(target.toString('utf8', 7, end), text);
        decoder.begin(target);
        t.true(isDeepStrictEqual(decoder.decode(7, end), value));
        t.is(encoder.encode(value, target.subarray(0, end - 1), 7), -1);
      }
    }),
    { numRuns: 150, seed: SEED },
  );
});

test('numbers are those that Number() makes of their text, and their text is what String() makes', (t) => {
  const random = seeded(SEED);
  const { parse, stringify } = json(Prices);
  const digits = (max: number): string =>
    Array.from({ length: 1 + Math.floor(random() * max) }, () => Math.floor(random() * 10)).join(
      '',
    );
  const anyDouble = new DataView(new ArrayBuffer(8));
  for (let round = 0; round < 100_000; round++) {
    anyDouble.setUint32(0, random() * 2 ** 32);
    anyDouble.setUint32(4, random() * 2 ** 32);
    const sign = random() < 0.3 ? '-' : '';
    const exponent = random() < 0.2 ? `e${pick(random, ['', '-', '+'])}${digits(2)}` : '';
    const integer = digits(random() < 0.8 ? 6 : 18).replace(/^0+(?=\d)/, '');
    const text = pick(random, [
      sign + integer + exponent,
      `${sign}${integer}.${digits(random() < 0.8 ? 9 : 25)}${exponent}`,
      String(Number.isFinite(anyDouble.getFloat64(0)) ? anyDouble.getFloat64(0) : 0),
      String(random()),
    ]);
    const { a } = parse(`{"a":${text}}`);
    if (!Object.is(a, Number(text))) t.fail(`${text} became ${String(a)}`);
    if (!Number.isFinite(a)) continue;
    const written = stringify({ a });
    if (written !== `{"a":${Object.is(a, -0) ? '-0' : String(a)}}`) t.fail(`${text} as ${written}`);
  }
  t.pass();
});

test('records of another order, with blanks, or with fields unknown are read without JSON.parse at last', (t) => {
  const spellings = [
    (i: number) => `{"b":${String(i)},"a":1.5}`,
    (i: number) => `{"z":["q",{"y":null}],"a":1.5,"b":${String(i)},"x":-1e5}`,
    (i: number) => `{"a": 1.5, "x": {"q": [1, 2]}, "b": ${String(i)}}`,
  ];
  const parser = new JsonParser(Prices, 'the value');
  for (const spelling of spellings) {
    const texts = Array.from({ length: 100 }, (_, i) => spelling(i));
    for (const text of texts.slice(0, 60)) parser.parse(text);
    const late = texts.slice(60);
    const expected = late.map((_, i) => ({ a: 1.5, b: 60 + i }));
    t.deepEqual(
      withoutJsonParse(() => late.map((text) => parser.parse(text))),
      expected,
    );
  }
});

test('what is written is read without JSON.parse from the first record on', (t) => {
  const { parse, stringify } = json(Transaction);
  const record: Infer<typeof Transaction> = {
    id: 'tx0000000035',
    price: -113.75e-9,
    count: -7,
    big: 5n,
    at: 1_700_000_040_001,
    isPaid: true,
    method: 'wallet',
    raw: new Uint8Array([1, 2]),
    tags: ['a', 'b c'],
    totals: new Map([['k', 0.1 + 0.2]]),
    shape: { kind: 'box', label: 'x' },
  };
  const text = stringify(record);
  t.deepEqual(
    withoutJsonParse(() => parse(text)),
    record,
  );
});

function withoutJsonParse<R>(step: () => R): R {
  const { parse } = JSON;
  JSON.parse = () => {
    throw new Error('JSON.parse was called');
  };
  try {
    return step();
  } finally {
    JSON.parse = parse;
  }
}

test('bytes that are no UTF-8, and values of another form, say what is wrong', async (t) => {
  const format = json(Prices);
  const decoder = format.createDecoder({ subject: 'topic "orders" value' });
  const reasonOf = (bytes: Buffer): string => {
    decoder.begin(bytes);
    return t.throws(() => decoder.decode(0, bytes.length), { instanceOf: FormatError }).message;
  };
  t.is(reasonOf(Buffer.from('{"a":1,"z":"\xff"}', 'latin1')), 'not UTF-8');
  t.is(reasonOf(Buffer.from('[]')), 'topic "orders" value: expected an object, got array of 0');
  t.is(reasonOf(Buffer.from('{"a":"1"}')), `field 'a': expected a number, got string "1"`);
  t.regex(reasonOf(Buffer.from('{"a":1')), /^not JSON: /);
  t.throws(() => format.parse('{}'), { instanceOf: FormatError });
  const encoder = await format.createEncoder({ subject: 'topic "orders" value' });
  t.throws(() => encoder.encode({ a: 1, b: 1.5 }, Buffer.alloc(99), 0), {
    message: /^SCHEMA_MISMATCH: .*field 'b'/,
  });
});
