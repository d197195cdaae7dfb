/**
 * What every source must keep, whatever it reads: under any polls, snapshots, crashes and changes
 * of parallelism each record comes out exactly once. A connector's test calls `sourceContract` with
 * a way to make its source.
 */
import type { TestFn } from 'ava';
import * as fc from 'fast-check';
import { unregisteredMetrics } from '../../api/metrics.js';
import type {
  DeadLetter,
  Source,
  SourceContext,
  SourceReader,
  SourceSplit,
} from '../../api/source.js';
import { validate } from '../../core/schema-validate.js';
import { ManualClock } from '../manual-clock.js';
import { RecordingOutput } from './recording-output.js';

/** What happens after a round of polls: nothing, a checkpoint, or a crash and a restore. */
export interface Step {
  readonly recordsMax: number;
  readonly then: 'continue' | 'checkpoint' | 'crash';
  /** Subtasks after a crash. */
  readonly parallelism: number;
}

export const stepsArbitrary: fc.Arbitrary<readonly Step[]> = fc.array(
  fc.record({
    recordsMax: fc.integer({ min: 1, max: 40 }),
    then: fc.constantFrom('continue', 'checkpoint', 'crash'),
    parallelism: fc.integer({ min: 1, max: 4 }),
  }),
  { maxLength: 30 },
);

export interface Drained<T> {
  readonly records: readonly T[];
  readonly deadLetters: readonly DeadLetter[];
}

export function contextFor(
  clock: ManualClock,
  subtask = 0,
  parallelism = 1,
): SourceContext & { readonly clock: ManualClock } {
  return { operator: 'source', subtask, parallelism, clock, metrics: unregisteredMetrics };
}

interface Running<T, S extends SourceSplit> {
  readonly reader: SourceReader<T, S>;
  readonly output: RecordingOutput<T>;
  ended: boolean;
}

/** Reads a bounded source to its end through the given steps; what a crash took back is not returned. */
export async function drainSource<T, S extends SourceSplit>(
  source: Source<T, S>,
  steps: readonly Step[] = [],
): Promise<Drained<T>> {
  const clock = new ManualClock();
  const kept: { records: T[]; deadLetters: DeadLetter[] } = { records: [], deadLetters: [] };
  let restored: readonly S[] = [];
  let running = await start(source, restored, steps[0]?.parallelism ?? 1, clock);
  const keep = (): void => {
    for (const { output } of running) {
      kept.records.push(...output.records.splice(0));
      kept.deadLetters.push(...output.deadLetters.splice(0));
    }
  };
  try {
    for (let index = 0; running.some(({ ended }) => !ended); index++) {
      const step = steps[index] ?? { recordsMax: 1_000, then: 'continue', parallelism: 1 };
      for (const one of running) await pollOnce(one, step.recordsMax, clock);
      if (step.then === 'checkpoint') {
        restored = running.flatMap(({ reader }) => reader.snapshot());
        checkSnapshot(source, restored);
        keep();
      } else if (step.then === 'crash') {
        await Promise.all(running.map(({ reader }) => reader.close()));
        running = await start(source, restored, step.parallelism, clock);
      }
    }
    keep();
  } finally {
    await Promise.all(running.map(({ reader }) => reader.close()));
  }
  return kept;
}

async function start<T, S extends SourceSplit>(
  source: Source<T, S>,
  restored: readonly S[],
  parallelism: number,
  clock: ManualClock,
): Promise<Running<T, S>[]> {
  const running: Running<T, S>[] = [];
  for (let subtask = 0; subtask < parallelism; subtask++) {
    const context = contextFor(clock, subtask, parallelism);
    const reader = source.createReader(context);
    const discovered = await source.discoverSplits(context);
    const fresh = discovered.filter(({ id }) => restored.every((split) => split.id !== id));
    reader.addSplits([...restored, ...fresh].filter((s) => s.ordinal % parallelism === subtask));
    reader.noMoreSplits();
    running.push({ reader, output: new RecordingOutput(), ended: false });
  }
  return running;
}

async function pollOnce<T, S extends SourceSplit>(
  running: Running<T, S>,
  recordsMax: number,
  clock: ManualClock,
): Promise<void> {
  if (running.ended) return;
  const before = running.output.records.length;
  const result = running.reader.poll(running.output, recordsMax);
  const emitted = running.output.records.length - before;
  if (emitted > recordsMax)
    throw new Error(`${String(emitted)} records, not ${String(recordsMax)}`);
  if (result === 'end') running.ended = true;
  if (result !== 'wait') return;
  const available = running.reader.available();
  if (clock.nextDueMs !== undefined) clock.advance(clock.nextDueMs - clock.monotonic());
  await available;
}

function checkSnapshot<T, S extends SourceSplit>(source: Source<T, S>, splits: readonly S[]): void {
  for (const split of splits) {
    const problem = validate(source.splitSchema, split);
    if (problem !== undefined) throw new Error(`a snapshot that its schema refuses: ${problem}`);
  }
  const ids = splits.map(({ id }) => id);
  if (new Set(ids).size !== ids.length) throw new Error('a snapshot that holds a split twice');
}

/** Registers the contract's tests for a bounded source. */
export function sourceContract<T, S extends SourceSplit>(
  test: TestFn,
  name: string,
  make: () => Promise<{ readonly source: Source<T, S>; readonly expected: readonly T[] }>,
): void {
  const sorted = (records: readonly T[]): readonly string[] =>
    records.map((record) => JSON.stringify(record)).sort();

  test(`${name}: each record once under any polls, checkpoints, crashes and parallelism`, async (t) => {
    const { source, expected } = await make();
    await fc.assert(
      fc.asyncProperty(stepsArbitrary, async (steps) => {
        t.deepEqual(sorted((await drainSource(source, steps)).records), sorted(expected));
      }),
      { numRuns: 60 },
    );
    t.pass();
  });

  test(`${name}: every subtask discovers the same splits`, async (t) => {
    const { source } = await make();
    const clock = new ManualClock();
    const first = await source.discoverSplits(contextFor(clock, 0, 2));
    t.deepEqual(await source.discoverSplits(contextFor(clock, 1, 2)), first);
    t.true(first.every(({ ordinal }) => Number.isInteger(ordinal) && ordinal >= 0));
    checkSnapshot(source, first);
    t.pass();
  });

  test(`${name}: finishes every split once, restored ones too, and then ends`, async (t) => {
    const { source } = await make();
    const clock = new ManualClock();
    const [first] = await start(source, [], 1, clock);
    if (first === undefined) return t.fail();
    while (!first.ended) await pollOnce(first, 1_000, clock);
    const ids = first.reader.snapshot().map(({ id }) => id);
    t.deepEqual([...first.output.finished].sort(), [...ids].sort());

    const [second] = await start(source, first.reader.snapshot(), 1, clock);
    if (second === undefined) return t.fail();
    while (!second.ended) await pollOnce(second, 1_000, clock);
    t.deepEqual([...second.output.finished].sort(), [...ids].sort());
    t.deepEqual(second.output.records, []);
    await Promise.all([first.reader.close(), second.reader.close()]);
  });

  test(`${name}: ends only once it knows that no more splits come`, async (t) => {
    const { source } = await make();
    const reader = source.createReader(contextFor(new ManualClock()));
    const output = new RecordingOutput<T>();
    t.is(reader.poll(output, 10), 'wait');
    const available = reader.available();
    reader.noMoreSplits();
    await available;
    t.is(reader.poll(output, 10), 'end');
    await reader.close();
  });

  test(`${name}: closing wakes whoever waits`, async (t) => {
    const { source } = await make();
    const reader = source.createReader(contextFor(new ManualClock()));
    const available = reader.available();
    await reader.close();
    await t.notThrowsAsync(available);
  });
}
