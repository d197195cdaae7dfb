import test from 'ava';
import { t as types } from '../../../api/schema.js';
import { generatorSource } from '../../../connectors/generator/index.js';
import { ManualClock } from '../../manual-clock.js';
import { RecordingOutput } from '../recording-output.js';
import { contextFor, drainSource, sourceContract } from '../source-contract.js';

const schema = types.record({ index: types.float64 });
const generate = (index: number): { index: number } => ({ index });
const indices = (count: number): { index: number }[] =>
  Array.from({ length: count }, (_, i) => generate(i));

sourceContract(test, 'generator', () =>
  Promise.resolve({
    source: generatorSource({ schema, generate, count: 1_000, splits: 5 }),
    expected: indices(1_000),
  }),
);

sourceContract(test, 'paced generator', () =>
  Promise.resolve({
    source: generatorSource({ schema, generate, count: 200, splits: 3, ratePerSecond: 700 }),
    expected: indices(200),
  }),
);

test('split s of n makes s, s + n, s + 2n, ... and positions are the next index', async (t) => {
  const source = generatorSource({ schema, generate, count: 10, splits: 3 });
  const context = contextFor(new ManualClock());
  const reader = source.createReader(context);
  reader.addSplits((await source.discoverSplits(context)).slice(1, 2));
  const output = new RecordingOutput<{ index: number }>();
  t.is(reader.poll(output, 2), 'more');
  t.deepEqual(reader.snapshot(), [{ id: 'generator#1', ordinal: 1, next: 7, stride: 3 }]);
  t.is(reader.poll(output, 2), 'wait');
  t.deepEqual(output.records, [1, 4, 7].map(generate));
});

test('a snapshot taken while a record is handed out counts it', async (t) => {
  const source = generatorSource({ schema, generate, count: 10, splits: 1 });
  const context = contextFor(new ManualClock());
  const reader = source.createReader(context);
  reader.addSplits(await source.discoverSplits(context));
  const seen: (number | undefined)[] = [];
  const output = new RecordingOutput<{ index: number }>();
  output.collect = () => seen.push(reader.snapshot()[0]?.next);
  reader.poll(output, 3);
  t.deepEqual(seen, [1, 2, 3]);
});

test('a rate holds each record back until it is due, over all splits together', async (t) => {
  const clock = new ManualClock();
  const source = generatorSource({ schema, generate, splits: 2, ratePerSecond: 100 });
  const context = contextFor(clock);
  const reader = source.createReader(context);
  reader.addSplits(await source.discoverSplits(context));
  const output = new RecordingOutput<{ index: number }>();
  const emitted: number[] = [];
  for (let round = 0; round < 5; round++) {
    t.is(reader.poll(output, 100), 'wait');
    emitted.push(output.records.length);
    const available = reader.available();
    t.not(clock.nextDueMs, undefined);
    clock.advance((clock.nextDueMs ?? 0) - clock.monotonic());
    await available;
  }
  t.deepEqual(emitted, [1, 2, 3, 4, 5]);
  clock.advance(1_000);
  reader.poll(output, 1_000);
  t.true(Math.abs(output.records.length - clock.monotonic() / 10) <= 2);
  t.false(source.bounded);
  await reader.close();
});

test('no records: it ends at once', async (t) => {
  const source = generatorSource({ schema, generate, count: 0 });
  t.deepEqual((await drainSource(source)).records, []);
});

test('state with another number of splits is refused, and options out of range', async (t) => {
  const context = contextFor(new ManualClock());
  const split = await generatorSource({ schema, generate, splits: 4 }).discoverSplits(context);
  const reader = generatorSource({ schema, generate, splits: 5 }).createReader(context);
  t.throws(() => reader.addSplits(split), { message: /^INPUT_INVALID: .*set splits to 4/ });
  for (const options of [{ splits: 0 }, { count: -1 }, { ratePerSecond: 0 }, { splits: 1.5 }]) {
    t.throws(() => generatorSource({ schema, generate, ...options }), { message: /PARAM_INVALID/ });
  }
  const misspelt = { schema, generate, ratePerSec: 5 };
  t.throws(() => generatorSource(misspelt), {
    message:
      /^PARAM_INVALID: generatorSource: ratePerSec is no option; did you mean ratePerSecond\?$/,
  });
});
