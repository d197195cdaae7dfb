/**
 * What is late is a matter of the input alone: source operators with real files, whatever the order in
 * which subtasks read and channels deliver, killed and restored at other parallelisms in between,
 * against what the bytes of the files say.
 */
import { deepStrictEqual } from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import * as fc from 'fast-check';
import { boundedOutOfOrderness, t as types, type Source } from '../../../api/index.js';
import { fileSource, jsonLines, type FileSplit } from '../../../connectors/files/index.js';
import { WatermarkValve } from '../../../worker/network/watermark-valve.js';
import type { SplitState } from '../../../worker/operators/operator-state.js';
import { SourceOperator } from '../../../worker/operators/source-operator.js';
import { ManualClock } from '../../manual-clock.js';
import { temporaryFolder } from '../../temporary-folder.js';
import { RecordedOutput, type Emission } from '../../worker/operators/recorded-output.js';
import { contextFor } from '../source-contract.js';

const schema = types.record({ id: types.string, at: types.float64, pad: types.string });
type Row = { id: string; at: number; pad: string };

const LOOK_BACK_BYTES = 65_536;

// ---- inputs ----

/** Lines whose times begin anywhere and go anywhere. */
interface Stretch {
  readonly lines: number;
  readonly at: number;
  readonly stepMs: number;
  readonly padBytes: number;
  readonly bad: boolean;
}

const whenArbitrary = {
  at: fc.integer({ min: 0, max: 10_000 }),
  stepMs: fc.integer({ min: -50, max: 200 }),
  bad: fc.integer({ min: 0, max: 9 }).map((chance) => chance === 0),
};
const stretchArbitrary: fc.Arbitrary<Stretch> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      ...whenArbitrary,
      lines: fc.integer({ min: 1, max: 30 }),
      padBytes: fc.integer({ min: 0, max: 6_000 }),
    }),
  },
  {
    // Lines that fill a look-back.
    weight: 1,
    arbitrary: fc.record({
      ...whenArbitrary,
      lines: fc.integer({ min: 1, max: 2 }),
      padBytes: fc.constant(80_000),
    }),
  },
);

function linesOf(file: number, stretches: readonly Stretch[]): string[] {
  return stretches.flatMap(({ lines, at, stepMs, padBytes, bad }, stretch) =>
    Array.from({ length: lines }, (_, n) => {
      const id = [file, stretch, n].join('-');
      const row: Row = { id, at: at + n * stepMs, pad: 'x'.repeat(padBytes) };
      return `${bad ? 'bad ' : ''}${JSON.stringify(row)}\n`;
    }),
  );
}

interface Outcome {
  readonly onTime: readonly string[];
  readonly late: readonly string[];
}

/** The definition, word by word: late is what is behind the greatest time before it in its split's sight. */
function expectedOf(
  files: readonly (readonly string[])[],
  splitBytes: number,
  boundMs: number,
): Outcome {
  const outcome = { onTime: [] as string[], late: [] as string[] };
  for (const lines of files) {
    const before: { readonly position: number; readonly at: number }[] = [];
    let position = 0;
    for (const line of lines) {
      if (!line.startsWith('bad')) {
        const { id, at } = JSON.parse(line) as Row;
        const sight = Math.floor(position / splitBytes) * splitBytes - LOOK_BACK_BYTES;
        const seen = before.filter((one) => one.position >= sight).map((one) => one.at);
        const isLate = at <= Math.max(-Infinity, ...seen) - boundMs - 1;
        outcome[isLate ? 'late' : 'onTime'].push(id);
        before.push({ position, at });
      }
      position += line.length;
    }
  }
  return { onTime: outcome.onTime.sort(), late: outcome.late.sort() };
}

// ---- runs ----

/** A subtask reads a few batches, or the channel from it delivers some of what it has sent, or a checkpoint is taken. */
type Action =
  | { readonly kind: 'read'; readonly subtask: number; readonly turns: number }
  | { readonly kind: 'deliver'; readonly subtask: number; readonly emissions: number }
  | { readonly kind: 'checkpoint' };

interface Attempt {
  readonly parallelism: number;
  readonly actions: readonly Action[];
}

const subtaskArbitrary = fc.nat({ max: 3 });
const actionArbitrary: fc.Arbitrary<Action> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constant('read' as const),
      subtask: subtaskArbitrary,
      turns: fc.integer({ min: 1, max: 8 }),
    }),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constant('deliver' as const),
      subtask: subtaskArbitrary,
      emissions: fc.integer({ min: 1, max: 100 }),
    }),
  },
  { weight: 1, arbitrary: fc.constant({ kind: 'checkpoint' as const }) },
);
/** Each attempt but the last is killed after its actions; the last one reads on to the end. */
const attemptsArbitrary: fc.Arbitrary<readonly Attempt[]> = fc.array(
  fc.record({
    parallelism: fc.integer({ min: 1, max: 4 }),
    actions: fc.array(actionArbitrary, { maxLength: 60, size: 'max' }),
  }),
  { minLength: 2, maxLength: 4 },
);

interface Subtask {
  readonly operator: SourceOperator;
  readonly output: RecordedOutput;
  /** Sent, and not yet delivered. */
  readonly channel: Emission[];
  woken: () => void;
  ended: boolean;
}

interface Checkpoint {
  readonly splits: readonly SplitState[];
  readonly watermark: number;
  readonly onTime: readonly string[];
  readonly late: readonly string[];
}

/** Few records at a time, so that splits are left and restored in their middle. */
function inTurnsOf(recordsMax: number, source: Source<Row, FileSplit>): Source<Row, FileSplit> {
  return {
    ...source,
    createReader: (context) => {
      const reader = source.createReader(context);
      const poll = reader.poll.bind(reader);
      reader.poll = (output, most) => poll(output, Math.min(most, recordsMax));
      return reader;
    },
  };
}

/** Source operators, and the operator behind them: its watermark, and what it got. */
class Run {
  readonly #source: Source<Row, FileSplit>;
  readonly #boundMs: number;
  readonly #subtasks: Subtask[] = [];
  #valve = new WatermarkValve(1);
  #restoredWatermark = -Infinity;
  #onTime: string[] = [];
  #late: string[] = [];
  #checkpoint: Checkpoint | undefined;
  /** On time at the source, and behind the watermark all the same. */
  readonly behind: string[] = [];

  constructor(source: Source<Row, FileSplit>, boundMs: number) {
    this.#source = source;
    this.#boundMs = boundMs;
  }

  get watermark(): number {
    return Math.max(this.#restoredWatermark, this.#valve.current);
  }

  get outcome(): Outcome {
    return { onTime: [...this.#onTime].sort(), late: [...this.#late].sort() };
  }

  /** From the last checkpoint, if there is one. */
  async start(parallelism: number): Promise<void> {
    await this.kill();
    this.#valve = new WatermarkValve(parallelism);
    this.#restoredWatermark = this.#checkpoint?.watermark ?? -Infinity;
    this.#onTime = [...(this.#checkpoint?.onTime ?? [])];
    this.#late = [...(this.#checkpoint?.late ?? [])];
    for (let subtask = 0; subtask < parallelism; subtask++) {
      const output = new RecordedOutput();
      const operator = new SourceOperator({
        name: 'rows',
        source: this.#source,
        watermarks: boundedOutOfOrderness<unknown>((row) => (row as Row).at, this.#boundMs),
        watermarkIntervalMs: 0,
        context: contextFor(new ManualClock(), subtask, parallelism),
        output,
        takesDeadLetters: true,
        restored: this.#checkpoint?.splits,
        wake: () => this.#subtasks[subtask]?.woken(),
        fail: (error) => {
          throw error;
        },
      });
      const woken = (): void => undefined;
      this.#subtasks.push({ operator, output, channel: [], woken, ended: false });
      await operator.open();
    }
  }

  async do(action: Action): Promise<void> {
    if (action.kind === 'checkpoint') return this.#takeCheckpoint();
    const index = action.subtask % this.#subtasks.length;
    const subtask = this.#subtasks[index];
    if (subtask === undefined) return;
    if (action.kind === 'read') {
      for (let turn = 0; turn < action.turns; turn++) await this.#read(subtask);
    } else this.#deliver(index, subtask, action.emissions);
  }

  async readToTheEnd(): Promise<void> {
    while (this.#subtasks.some(({ ended }) => !ended)) {
      for (const subtask of this.#subtasks) await this.#read(subtask);
    }
    this.#deliverAll();
  }

  async kill(): Promise<void> {
    await Promise.all(this.#subtasks.splice(0).map(({ operator }) => operator.close()));
  }

  async #read(subtask: Subtask): Promise<void> {
    if (subtask.ended) return;
    const woken = new Promise<void>((resolve) => (subtask.woken = resolve));
    const result = subtask.operator.poll();
    subtask.channel.push(...subtask.output.take());
    subtask.ended = result === 'end';
    if (result === 'wait') await woken;
  }

  #deliver(index: number, { channel }: Subtask, emissions: number): void {
    for (const one of channel.splice(0, emissions)) {
      if (one.kind === 'watermark') this.#valve.onWatermark(index, one.timestamp);
      else if (one.kind === 'status') this.#valve.onStatus(index, one.idle);
      else if (one.kind === 'record') {
        const { id } = one.value as Row;
        this.#onTime.push(id);
        if (one.timestamp <= this.watermark) this.behind.push(id);
      } else if (one.output === 'late') this.#late.push((one.value as Row).id);
    }
  }

  #deliverAll(): void {
    this.#subtasks.forEach((subtask, index) => this.#deliver(index, subtask, Infinity));
  }

  /** Aligned: what was sent before the barrier is delivered before it. */
  async #takeCheckpoint(): Promise<void> {
    const splits: SplitState[] = [];
    for (const { operator } of this.#subtasks) {
      splits.push(...((await operator.snapshot(1).operator?.entries) as readonly SplitState[]));
    }
    this.#deliverAll();
    this.#checkpoint = {
      splits,
      watermark: this.watermark,
      onTime: [...this.#onTime],
      late: [...this.#late],
    };
  }
}

test('property: the same records are late in any order of reading, over any restores, and none later on', async (t) => {
  const folder = await temporaryFolder(t);
  let runs = 0;
  const seen = { onTime: 0, late: 0 };
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.array(stretchArbitrary, { maxLength: 8 }), { minLength: 1, maxLength: 3 }),
      fc.integer({ min: 15_000, max: 200_000 }),
      fc.integer({ min: 0, max: 1_000 }),
      fc.integer({ min: 1, max: 6 }),
      attemptsArbitrary,
      async (stretches, splitBytes, boundMs, turnRecords, attempts) => {
        const files = stretches.map((of, file) => linesOf(file, of));
        const prefix = `run-${String(runs++)}`;
        for (const [file, lines] of files.entries()) {
          await writeFile(join(folder, `${prefix}-${String(file)}`), lines.join(''));
        }
        const path = join(folder, `${prefix}-*`);
        const source = fileSource({ path, format: jsonLines(schema), splitBytes });
        const run = new Run(inTurnsOf(turnRecords, source), boundMs);
        try {
          for (const { parallelism, actions } of attempts) {
            await run.start(parallelism);
            for (const action of actions) await run.do(action);
          }
          await run.readToTheEnd();
        } finally {
          await run.kill();
        }
        const expected = expectedOf(files, splitBytes, boundMs);
        deepStrictEqual(run.outcome, expected);
        deepStrictEqual(run.behind, []);
        seen.onTime += expected.onTime.length;
        seen.late += expected.late.length;
      },
    ),
    // A counterexample is made smaller for as long as that.
    { numRuns: 100, interruptAfterTimeLimit: 60_000 },
  );
  t.true(seen.onTime > 1_000 && seen.late > 1_000);
});

test('a file that waits holds the watermark back no further than it must', async (t) => {
  const folder = await temporaryFolder(t);
  const rows = (file: string, from: number, count: number): Promise<void> =>
    writeFile(
      join(folder, file),
      Array.from({ length: count }, (_, n) => {
        const row: Row = { id: `${file}-${String(n)}`, at: from + n, pad: '' };
        return `${JSON.stringify(row)}\n`;
      }).join(''),
    );
  await rows('a', 1_000, 600);
  await rows('b', 1_200, 600);
  const run = new Run(fileSource({ path: folder, format: jsonLines(schema) }), 0);
  t.teardown(() => run.kill());
  await run.start(1);
  const watermarks = new Set<number>();
  while (run.outcome.onTime.length < 1_200) {
    await run.do({ kind: 'read', subtask: 0, turns: 1 });
    await run.do({ kind: 'deliver', subtask: 0, emissions: 1_000 });
    watermarks.add(run.watermark);
  }
  // Until both were looked at, when they were, and once the first has passed where the second waits.
  t.deepEqual([...watermarks].slice(0, 3), [-Infinity, 999, 1_199]);
});
