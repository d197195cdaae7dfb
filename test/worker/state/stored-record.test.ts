import test from 'ava';
import fc from 'fast-check';
import * as schema from '../../../api/schema-builder.js';
import { compileStoredRecord } from '../../../worker/state/stored-record.js';

const flat = schema.record({
  text: schema.string,
  real: schema.float64,
  whole: schema.int32,
  large: schema.int64,
  flag: schema.boolean,
  at: schema.timestamp,
  one: schema.literal('a', 'b'),
  constructor: schema.string,
  'a "quoted" name': schema.float64,
});

const values = fc.record({
  text: fc.string({ maxLength: 40, unit: 'binary' }),
  real: fc.double(),
  whole: fc.integer(),
  large: fc.bigInt(),
  flag: fc.boolean(),
  at: fc.integer(),
  one: fc.constantFrom('a', 'b'),
  constructor: fc.string(),
  'a "quoted" name': fc.float(),
});

test('what was stored last is loaded, as a copy, and earlier copies stay as they were', (t) => {
  fc.assert(
    fc.property(fc.array(values, { minLength: 1, maxLength: 20 }), (updates) => {
      const record = compileStoredRecord(flat) ?? t.fail();
      let stored: unknown;
      const loaded: unknown[] = [];
      for (const update of updates) {
        stored = record.store(stored, update);
        loaded.push(record.load(stored));
      }
      t.deepEqual(loaded, updates);
      t.not(loaded.at(-1), updates.at(-1));
      t.not(record.load(stored), loaded.at(-1));
    }),
    { numRuns: 100 },
  );
});

test('an update changes the object that is stored, and nothing is left of the one it was given', (t) => {
  const record = compileStoredRecord(schema.record({ n: schema.float64 })) ?? t.fail();
  const given = { n: 1 };
  const stored = record.store(undefined, given);
  given.n = 2;
  t.deepEqual(record.load(stored), { n: 1 });
  t.is(record.store(stored, given), stored);
  t.deepEqual(record.load(stored), { n: 2 });
});

test('what its schema does not describe is kept as it is, for the checkpoint to name', (t) => {
  const record = compileStoredRecord(schema.record({ n: schema.float64 })) ?? t.fail();
  t.is(record.load(record.store(undefined, null)), null);
  t.is(record.load(record.store(undefined, 'text')), 'text');
  t.deepEqual(record.load(record.store(undefined, {})), { n: undefined });
});

test('only records whose fields are all there and scalar are copied', (t) => {
  for (const other of [
    schema.float64,
    schema.array(schema.float64),
    schema.record({ n: schema.optional(schema.float64) }),
    schema.record({ list: schema.array(schema.string) }),
    schema.record({ inner: schema.record({ n: schema.float64 }) }),
    schema.record({ data: schema.bytes }),
  ]) {
    t.is(compileStoredRecord(other), undefined);
  }
});

test('an update that fails half way leaves what was stored', (t) => {
  const record =
    compileStoredRecord(schema.record({ a: schema.float64, b: schema.float64 })) ?? t.fail();
  const stored = record.store(undefined, { a: 1, b: 1 });
  const failing = {
    a: 2,
    get b(): number {
      throw new Error('no b');
    },
  };
  t.throws(() => record.store(stored, failing), { message: 'no b' });
  t.deepEqual(record.load(stored), { a: 1, b: 1 });
});
