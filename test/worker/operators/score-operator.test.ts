import test from 'ava';
import { isMillraceError, MillraceError, t as types } from '../../../api/index.js';
import { compileRecordCodec } from '../../../core/record-codec.js';
import type { ScoringRequest, ScoringService } from '../../../worker/compute/scoring-service.js';
import { ScoreOperator } from '../../../worker/operators/score-operator.js';
import { ManualClock } from '../../manual-clock.js';
import { RecordedOutput } from './recorded-output.js';

const results = compileRecordCodec(types.int32);
const inputs = compileRecordCodec(types.int32);

/** A service whose answers the test gives, in any order. */
class HeldScoring implements ScoringService {
  readonly calls: {
    readonly batch: number[];
    answer(values: number[]): void;
    fail(error: Error): void;
  }[] = [];

  score(request: ScoringRequest): Promise<Uint8Array> {
    const chunk = inputs.decode(request.chunk, {
      values: [],
      timestamps: new Float64Array(0),
      count: 0,
    });
    return new Promise((resolve, reject) => {
      this.calls.push({
        batch: chunk.values.slice(0, chunk.count),
        answer: (values) => resolve(results.encode(values, new Float64Array(values.length))),
        fail: reject,
      });
    });
  }
}

function harness(options: { batchSize?: number; concurrency?: number } = {}) {
  const clock = new ManualClock();
  const service = new HeldScoring();
  const output = new RecordedOutput();
  const errors: unknown[] = [];
  let onMail: () => void = () => undefined;
  const operator = new ScoreOperator({
    name: 'risk',
    modulePath: '/model.js',
    moduleName: './model.js',
    input: types.int32,
    result: types.int32,
    select: (record) => record,
    combine: (record, score) => `${String(record)}=${String(score)}`,
    batchSize: options.batchSize ?? 2,
    maxWaitMs: 5,
    timeoutMs: 1000,
    concurrency: options.concurrency ?? 4,
    service,
    output,
    setTimer: (delayMs, callback) => clock.setTimer(delayMs, callback),
    runInMailbox: (task) => {
      try {
        task();
      } catch (error) {
        errors.push(error);
      }
      onMail();
    },
  });
  const mail = (): Promise<void> =>
    new Promise((resolve) => {
      onMail = resolve;
    });
  return { clock, service, output, operator, errors, mail };
}

test('results come out in the order of the records, whatever order batches are answered in', async (t) => {
  const { service, output, operator, mail } = harness();
  for (const [index, record] of [1, 2, 3, 4].entries()) operator.processElement(record, index);
  t.deepEqual(
    service.calls.map(({ batch }) => batch),
    [
      [1, 2],
      [3, 4],
    ],
  );
  let arrived = mail();
  service.calls[1]?.answer([30, 40]);
  await arrived;
  t.deepEqual(output.take(), []);
  arrived = mail();
  service.calls[0]?.answer([10, 20]);
  await arrived;
  t.deepEqual(output.takeValues(), ['1=10', '2=20', '3=30', '4=40']);
});

test('a watermark keeps its place behind the records before it', async (t) => {
  const { service, output, operator, mail } = harness();
  operator.processElement(1, 100);
  operator.processWatermark(100);
  operator.processElement(2, 101);
  t.deepEqual(output.take(), []);
  const arrived = mail();
  service.calls[0]?.answer([10]);
  await arrived;
  t.deepEqual(output.take(), [
    { kind: 'record', value: '1=10', timestamp: 100 },
    { kind: 'watermark', timestamp: 100 },
  ]);
});

test('a batch that does not fill leaves after its waiting time', (t) => {
  const { clock, service, operator } = harness({ batchSize: 100 });
  operator.processElement(1, 0);
  clock.advance(4);
  t.is(service.calls.length, 0);
  clock.advance(1);
  t.deepEqual(service.calls[0]?.batch, [1]);
});

test('with as many batches in flight as allowed the operator is suspended until one comes back', async (t) => {
  const { service, operator, mail } = harness({ batchSize: 1, concurrency: 1 });
  operator.processElement(1, 0);
  const suspended = operator.suspended();
  t.truthy(suspended);
  const arrived = mail();
  service.calls[0]?.answer([10]);
  await arrived;
  await suspended;
  t.is(operator.suspended(), undefined);
});

test('records beyond what may be in flight wait for their turn, and all come out in order', async (t) => {
  const { service, output, operator, mail } = harness({ batchSize: 1, concurrency: 2 });
  for (const record of [1, 2, 3, 4]) operator.processElement(record, 0);
  const drained = operator.drain();
  for (let answered = 0; answered < 4; answered++) {
    t.is(service.calls.length, Math.min(4, answered + 2));
    const arrived = mail();
    service.calls[answered]?.answer([(answered + 1) * 10]);
    await arrived;
  }
  await drained;
  t.deepEqual(output.takeValues(), ['1=10', '2=20', '3=30', '4=40']);
});

test('drain resolves when all that was taken in has come out', async (t) => {
  const { service, output, operator, mail } = harness();
  operator.processElement(1, 0);
  const drained = operator.drain();
  t.truthy(drained);
  const arrived = mail();
  service.calls[0]?.answer([10]);
  await arrived;
  await drained;
  t.deepEqual(output.takeValues(), ['1=10']);
  t.is(operator.drain(), undefined);
});

test('a failed call fails the task and names the operator', async (t) => {
  const { service, operator, errors, mail } = harness({ batchSize: 1 });
  operator.processElement(7, 0);
  const arrived = mail();
  service.calls[0]?.fail(new MillraceError('SCORE_FAILED', 'score() threw for record 0: no'));
  await arrived;
  const [error] = errors;
  t.true(
    isMillraceError(error) && error.code === 'SCORE_FAILED' && error.location?.operator === 'risk',
  );
});

test('too few results are an error that says so', async (t) => {
  const { service, operator, errors, mail } = harness();
  operator.processElement(1, 0);
  operator.processElement(2, 0);
  const arrived = mail();
  service.calls[0]?.answer([10]);
  await arrived;
  t.regex(String(errors[0]), /"risk" got 1 results for 2 records/);
});
