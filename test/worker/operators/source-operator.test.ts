import test from 'ava';
import {
  boundedOutOfOrderness,
  isMillraceError,
  t as types,
  unregisteredMetrics,
  type PollResult,
  type Source,
  type SourceOutput,
  type SourceReader,
} from '../../../api/index.js';
import { MAX_WATERMARK } from '../../../core/watermark.js';
import type { SplitState } from '../../../worker/operators/operator-state.js';
import { SourceOperator } from '../../../worker/operators/source-operator.js';
import { ManualClock } from '../../manual-clock.js';
import { RecordedOutput } from './recorded-output.js';

const Split = types.record({ id: types.string, ordinal: types.int32, position: types.int32 });
type Split = types.infer<typeof Split>;

/** Splits of numbers, read one split after the other; a number is its own timestamp. */
function numbers(
  data: Readonly<Record<string, readonly number[]>>,
  bounded = true,
): Source<number, Split> {
  const discover = (): Split[] =>
    Object.keys(data).map((id, ordinal) => ({ id, ordinal, position: 0 }));
  class Reader implements SourceReader<number, Split> {
    readonly #splits: Split[] = [];
    #noMore = false;
    readonly #wanted: (() => void)[] = [];

    addSplits(splits: readonly Split[]): void {
      this.#splits.push(...splits.map((split) => ({ ...split })));
      for (const resolve of this.#wanted.splice(0)) resolve();
    }

    noMoreSplits(): void {
      this.#noMore = true;
    }

    poll(output: SourceOutput<number>, recordsMax: number): PollResult {
      let left = recordsMax;
      for (const split of this.#splits) {
        const records = data[split.id] ?? [];
        if (split.position >= records.length) continue;
        output.selectSplit(split.id);
        for (; left > 0 && split.position < records.length; left--) {
          output.collect(records[split.position++] ?? 0);
        }
        if (split.position >= records.length && bounded) output.finishSplit();
        if (left === 0) return 'more';
      }
      return this.#noMore && bounded ? 'end' : 'wait';
    }

    available(): Promise<void> {
      return new Promise((resolve) => this.#wanted.push(resolve));
    }

    snapshot(): readonly Split[] {
      return this.#splits.map((split) => ({ ...split }));
    }

    close(): Promise<void> {
      return Promise.resolve();
    }
  }
  return {
    description: 'numbers',
    schema: types.float64,
    splitSchema: Split,
    bounded,
    discoverSplits: () => Promise.resolve(discover()),
    createReader: () => new Reader(),
  };
}

interface Setup {
  readonly subtask?: number;
  readonly parallelism?: number;
  readonly restored?: readonly SplitState[];
  readonly idleTimeoutMs?: number;
}

async function open(source: Source<number, Split>, setup: Setup = {}) {
  const clock = new ManualClock();
  const output = new RecordedOutput();
  const failures: unknown[] = [];
  const operator = new SourceOperator({
    name: 'numbers',
    source: source,
    watermarks: boundedOutOfOrderness<unknown>(
      (record) => record as number,
      10,
      setup.idleTimeoutMs === undefined ? {} : { idleTimeoutMs: setup.idleTimeoutMs },
    ),
    watermarkIntervalMs: 100,
    context: {
      operator: 'numbers',
      subtask: setup.subtask ?? 0,
      parallelism: setup.parallelism ?? 1,
      clock,
      metrics: unregisteredMetrics,
    },
    output,
    takesDeadLetters: true,
    restored: setup.restored,
    wake: () => undefined,
    fail: (error) => failures.push(error),
  });
  await operator.open();
  return { operator, output, clock, failures };
}

async function entriesOf(operator: SourceOperator): Promise<readonly SplitState[]> {
  return (await operator.snapshot(1).operator?.entries) as readonly SplitState[];
}

test('a bounded source ends with the last watermark', async (t) => {
  const { operator, output } = await open(numbers({ a: [100, 200] }));
  t.is(operator.poll(), 'end');
  t.deepEqual(output.take(), [
    { kind: 'record', value: 100, timestamp: 100 },
    { kind: 'record', value: 200, timestamp: 200 },
    { kind: 'watermark', timestamp: MAX_WATERMARK },
  ]);
  t.is(operator.poll(), 'end');
  t.deepEqual(output.take(), []);
});

test('a record behind its own split is late, at the bound and not before it', async (t) => {
  const { operator, output } = await open(numbers({ a: [100, 90, 89, 101] }));
  operator.poll();
  t.deepEqual(
    output.take().flatMap((one) => (one.kind === 'side' ? [[one.output, one.value]] : [])),
    [['late', 89]],
  );
});

test('what is late does not depend on other splits', async (t) => {
  const { operator, output } = await open(numbers({ a: [1000], b: [5, 6] }));
  operator.poll();
  t.true(output.take().every((one) => one.kind !== 'side'));
});

test('a split that was not read yet holds the watermark back, a restored one where it stands', async (t) => {
  const data = { a: Array.from({ length: 300 }, (_, i) => 1_000 + i), b: [5], c: [500, 600] };
  const watermarksOf = (output: RecordedOutput): number[] =>
    output.take().flatMap((one) => (one.kind === 'watermark' ? [one.timestamp] : []));
  const first = await open(numbers(data));
  t.is(first.operator.poll(), 'more');
  t.deepEqual(watermarksOf(first.output), []);
  const [a, b, c] = await entriesOf(first.operator);
  if (a === undefined || b === undefined || c === undefined) return t.fail();
  const restored = [a, { ...b, maxTimestamp: 5 }, { ...c, maxTimestamp: 500 }];
  const second = await open(numbers(data), { restored });
  second.operator.advanceProcessingTime(0);
  t.deepEqual(watermarksOf(second.output), [-6]);
});

test('each subtask reads the splits whose ordinal falls to it', async (t) => {
  const data = { a: [1], b: [2], c: [3] };
  const values: unknown[][] = [];
  for (const subtask of [0, 1]) {
    const { operator, output } = await open(numbers(data), { subtask, parallelism: 2 });
    operator.poll();
    values.push(output.takeValues());
  }
  t.deepEqual(values, [[1, 3], [2]]);
});

test('a restored source goes on after the last emitted record and knows what is late', async (t) => {
  const data = { a: [...Array.from({ length: 256 }, (_, i) => i), 5, 500] };
  const first = await open(numbers(data));
  t.is(first.operator.poll(), 'more');
  const restored = await entriesOf(first.operator);
  t.deepEqual(restored, [
    { split: { id: 'a', ordinal: 0, position: 256 }, maxTimestamp: 255, watermark: 244 },
  ]);
  const second = await open(numbers(data), { restored });
  t.is(second.operator.poll(), 'end');
  t.deepEqual(second.output.take().slice(0, 2), [
    { kind: 'side', output: 'late', value: 5, timestamp: 5 },
    { kind: 'record', value: 500, timestamp: 500 },
  ]);
});

test('splits that were not in the checkpoint are read from their start, at any parallelism', async (t) => {
  const first = await open(numbers({ a: [1] }));
  first.operator.poll();
  const restored = await entriesOf(first.operator);
  const read: unknown[] = [];
  for (const subtask of [0, 1, 2]) {
    const { operator, output } = await open(numbers({ a: [1], b: [2], c: [3] }), {
      subtask,
      parallelism: 3,
      restored,
    });
    operator.poll();
    read.push(...output.takeValues());
  }
  t.deepEqual(read, [2, 3]);
});

test('a split that stays silent turns idle, and active again with its next record', async (t) => {
  const data: Record<string, number[]> = { a: [100] };
  const { operator, output, clock } = await open(numbers(data, false), { idleTimeoutMs: 1000 });
  operator.poll();
  output.take();
  clock.advance(1000);
  operator.advanceProcessingTime(clock.now());
  t.deepEqual(output.take(), [{ kind: 'status', idle: true }]);
});

test('while nobody asks the reader, nothing turns idle', async (t) => {
  const data = { a: Array.from({ length: 300 }, (_, i) => i) };
  const { operator, output, clock } = await open(numbers(data, false), { idleTimeoutMs: 1000 });
  t.is(operator.poll(), 'more');
  output.take();
  clock.advance(5000);
  operator.advanceProcessingTime(clock.now());
  t.deepEqual(output.take(), []);
  t.is(operator.poll(), 'wait');
  output.take();
  clock.advance(1000);
  operator.advanceProcessingTime(clock.now());
  t.deepEqual(output.take(), [{ kind: 'status', idle: true }]);
});

test('a bounded source is never idle, however long it waits', async (t) => {
  const slow = { ...numbers({ a: [100] }, false), bounded: true };
  const { operator, output, clock } = await open(slow, { idleTimeoutMs: 1000 });
  t.is(operator.poll(), 'wait');
  output.take();
  clock.advance(5000);
  operator.advanceProcessingTime(clock.now());
  t.deepEqual(output.take(), []);
});

test('a subtask without splits is idle at once, so that it never holds the others back', async (t) => {
  const restored = await entriesOf((await open(numbers({ a: [100] }, false))).operator);
  for (const setup of [{}, { idleTimeoutMs: 1000 }, { restored }]) {
    const { operator, output, clock } = await open(numbers({ a: [100] }, false), {
      ...setup,
      subtask: 1,
      parallelism: 2,
    });
    operator.poll();
    operator.advanceProcessingTime(clock.now());
    t.deepEqual(output.take(), [{ kind: 'status', idle: true }]);
  }
});

test('a subtask that gets its first split later is active from then on', async (t) => {
  const data: Record<string, number[]> = { a: [100] };
  const source = { ...numbers(data, false), discoveryIntervalMs: 50 };
  const { operator, output, clock } = await open(source, { subtask: 1, parallelism: 2 });
  operator.poll();
  t.deepEqual(output.take(), [{ kind: 'status', idle: true }]);
  data['b'] = [200];
  clock.advance(200);
  await Promise.resolve();
  operator.poll();
  operator.advanceProcessingTime(clock.now());
  t.deepEqual(output.take(), [
    { kind: 'record', value: 200, timestamp: 200 },
    { kind: 'watermark', timestamp: 189 },
    { kind: 'status', idle: false },
  ]);
});

test('a timestamp that is no number fails with the record', async (t) => {
  const { operator } = await open(numbers({ a: [Number.NaN] }));
  const error = t.throws(() => operator.poll());
  t.true(isMillraceError(error));
  t.regex(error?.message ?? '', /operator "numbers" threw in timestamp: .*returned NaN/);
});

test('whoever discovers is told what is known, once there is anything to go on from', async (t) => {
  const given: (readonly string[] | undefined)[] = [];
  const source = numbers({ a: [1] }, false);
  const watched: Source<number, Split> = {
    ...source,
    discoveryIntervalMs: 1_000,
    discoverSplits: (context, known) => {
      given.push(known === undefined ? undefined : [...known]);
      return source.discoverSplits(context, known);
    },
  };
  const first = await open(watched);
  first.clock.advance(1_000);
  t.deepEqual(given, [undefined, ['a']]);
  await open(watched, { restored: await entriesOf(first.operator) });
  t.deepEqual(given, [undefined, ['a'], ['a']]);
});
