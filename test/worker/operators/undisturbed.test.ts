/** Sources, scoring and sinks through snapshots, restores and failures at any point. */
import test from 'ava';
import fc from 'fast-check';
import {
  t as types,
  unregisteredMetrics,
  type Committer,
  type Sink,
  type SinkWriter,
} from '../../../api/index.js';
import { DEFAULT_CHECKPOINT, DEFAULT_RESTART } from '../../../api/job.js';
import { compileRecordCodec } from '../../../core/record-codec.js';
import type { ScoringService } from '../../../worker/compute/scoring-service.js';
import {
  pendingCommittableSchema,
  splitStateSchema,
  type PendingCommittable,
  type SplitState,
} from '../../../worker/operators/operator-state.js';
import { ScoreOperator } from '../../../worker/operators/score-operator.js';
import { SinkOperator } from '../../../worker/operators/sink-operator.js';
import { SourceOperator } from '../../../worker/operators/source-operator.js';
import { GatedSource, type Click } from '../task/slot-job.js';
import { OperatorHarness, type Step } from './operator-harness.js';
import type { Emission } from './recorded-output.js';
import { assertUndisturbed, stepsArbitrary } from './operator-steps.js';

const numbers = compileRecordCodec(types.int32);

/** Answers after as many microtasks as the first number says, so that batches overtake each other. */
const unevenScoring: ScoringService = {
  async score({ chunk }) {
    const { values, count } = numbers.decode(chunk, {
      values: [],
      timestamps: new Float64Array(0),
      count: 0,
    });
    for (let turn = 0; turn < (values[0] ?? 0) * 3; turn++) await Promise.resolve();
    const scores = values.slice(0, count).map((n) => n * 10);
    return numbers.encode(scores, new Float64Array(count));
  },
};

function openScore({ batchSize = 2, concurrency = 2 } = {}) {
  return OperatorHarness.open({
    create: ({ output, clock, post }) =>
      new ScoreOperator({
        name: 'risk',
        modulePath: '/model.js',
        moduleName: './model.ts',
        input: types.int32,
        result: types.int32,
        select: (record) => record,
        combine: (record, score) => `${String(record)}=${String(score)}`,
        batchSize,
        maxWaitMs: 5,
        timeoutMs: 1000,
        concurrency,
        service: unevenScoring,
        output,
        setTimer: (delayMs, callback) => clock.setTimer(delayMs, callback),
        runInMailbox: post,
      }),
  });
}

for (const [batchSize, concurrency] of [
  [1, 1],
  [2, 3],
  [100, 1],
] as const) {
  test(`property: scoring in batches of ${batchSize}, ${concurrency} at once, survives any failure`, async (t) => {
    await assertUndisturbed(
      stepsArbitrary(fc.nat(9)),
      async () => ({ run: undefined, harness: await openScore({ batchSize, concurrency }) }),
      (actual, expected) => t.deepEqual(actual, expected),
    );
  });
}

/** A store of transactions whose writers take two records and then want a pause. */
class PausingStore implements Sink<unknown, string> {
  readonly description = 'store';
  readonly committableSchema = types.string;
  readonly committed = new Map<string, readonly unknown[]>();
  readonly #transactions = new Map<string, readonly unknown[]>();
  overruns = 0;
  #cut = 0;

  get records(): unknown[] {
    return [...this.committed.values()].flat();
  }

  createWriter(): Promise<SinkWriter<unknown, string>> {
    let epoch: unknown[] = [];
    let room = 2;
    return Promise.resolve({
      write: (record) => {
        if (room-- === 0) this.overruns++;
        epoch.push(record);
      },
      whenWritable: () =>
        room > 0
          ? undefined
          : Promise.resolve().then(() => {
              room = 2;
            }),
      prepareCommit: () => {
        const id = `tx${++this.#cut}`;
        this.#transactions.set(id, epoch);
        epoch = [];
        return Promise.resolve([id]);
      },
      close: () => Promise.resolve(),
    });
  }

  createCommitter(): Promise<Committer<string>> {
    return Promise.resolve({
      commit: (ids) => {
        for (const id of ids) this.committed.set(id, this.#transactions.get(id) ?? []);
        return Promise.resolve();
      },
      recover: () => Promise.resolve(),
      close: () => Promise.resolve(),
    });
  }
}

test('property: a sink has committed every record once, in order, whatever failed and whoever heard of it', async (t) => {
  await assertUndisturbed(
    stepsArbitrary(fc.nat(9)),
    async () => {
      const store = new PausingStore();
      const harness = await OperatorHarness.open({
        entrySchema: pendingCommittableSchema(types.string),
        create: ({ clock, restored, attempt }) =>
          new SinkOperator({
            name: 'store',
            sink: store,
            context: {
              operator: 'store',
              subtask: 0,
              parallelism: 1,
              clock,
              metrics: unregisteredMetrics,
              jobId: 'job',
              attempt,
              settings: { checkpoint: DEFAULT_CHECKPOINT, restart: DEFAULT_RESTART },
            },
            restored: restored as readonly PendingCommittable[] | undefined,
          }),
      });
      return { run: store, harness };
    },
    (actual, expected) => t.deepEqual(actual, expected),
    (_, store) => {
      t.is(store.overruns, 0);
      return store.records;
    },
  );
});

/** A restored source says again where its time stands, which tells its consumers nothing. */
function withoutRepeatedWatermarks(emissions: readonly Emission[]): Emission[] {
  let watermark = -Infinity;
  return emissions.filter((one) => {
    if (one.kind !== 'watermark') return true;
    const isNew = one.timestamp > watermark;
    watermark = Math.max(watermark, one.timestamp);
    return isNew;
  });
}

const poll: Step = { kind: 'poll' };

test('property: a source gives every record once, in order, and ends with the last watermark', async (t) => {
  const click = fc.record({ user: fc.constant('u'), n: fc.nat(99), at: fc.nat(50) });
  const input = fc.array(fc.array(click, { maxLength: 600 }), { minLength: 1, maxLength: 3 });
  let splits: readonly (readonly Click[])[] = [];
  // One arbitrary makes both: the input of a run and as many polls as it can take.
  const steps = input.map((made): Step[] => {
    splits = made;
    return Array.from({ length: 14 }, () => poll);
  });
  await assertUndisturbed(
    steps,
    async () => ({
      run: undefined,
      harness: await OperatorHarness.open({
        entrySchema: splitStateSchema(new GatedSource([]).splitSchema),
        poll: (operator: SourceOperator) => void operator.poll(),
        create: ({ output, clock, restored }) =>
          new SourceOperator({
            name: 'clicks',
            source: new GatedSource(splits),
            watermarks: { timestamp: (one) => (one as Click).at, maxOutOfOrdernessMs: 3 },
            watermarkIntervalMs: 0,
            context: {
              operator: 'clicks',
              subtask: 0,
              parallelism: 1,
              clock,
              metrics: unregisteredMetrics,
            },
            output,
            takesDeadLetters: true,
            restored: restored as readonly SplitState[] | undefined,
            wake: () => undefined,
            fail: (error) => t.fail(String(error)),
          }),
      }),
    }),
    (actual, expected) => t.deepEqual(actual, expected),
    withoutRepeatedWatermarks,
  );
});
