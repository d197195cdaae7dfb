/** What slots report, as Prometheus series and as the message for the coordinator. */
import test from 'ava';
import { MAX_WATERMARK } from '../../core/watermark.js';
import type { TaskMetricsReport } from '../../worker/slot-messages.js';
import type { MetricReport } from '../../worker/operators/operator-metric-group.js';
import { WorkerMetrics } from '../../worker/worker-metrics.js';

interface Given {
  readonly recordsIn?: number;
  readonly recordsOut?: number;
  readonly busyMs?: number;
  readonly backPressuredMs?: number;
  readonly watermark?: number;
  readonly metrics?: readonly MetricReport[];
}

function report(given: Given): TaskMetricsReport {
  return {
    task: { vertex: 'count', subtask: 1 },
    operators: [
      {
        operator: 'count',
        recordsIn: given.recordsIn ?? 0,
        recordsOut: given.recordsOut ?? 0,
        sideOutputs: { late: 2 },
        metrics: given.metrics ?? [],
      },
    ],
    busyMs: given.busyMs ?? 0,
    backPressuredMs: given.backPressuredMs ?? 0,
    watermark: given.watermark ?? -Infinity,
  };
}

const attemptOf = (attempt: number) => ({ jobId: 'job', attempt, epoch: 1 });

function open() {
  const metrics = new WorkerMetrics(() => 10_000);
  const record = (attempt: number, given: Given, intervalMs = 1000) =>
    metrics.record(attemptOf(attempt), { kind: 'metrics', tasks: [report(given)], intervalMs });
  /** The values of a series by its labels' text; empty when it has none. */
  const series = async (name: string): Promise<number[]> => {
    const metric = await metrics.registry.getSingleMetric(name)?.get();
    return (metric?.values ?? []).map(({ value }) => value);
  };
  return { metrics, record, series };
}

test('record totals grow by what is new and go on over a restart of the job', async (t) => {
  const { metrics, record, series } = open();
  const totals: number[] = [];
  const steps = [
    [1, 10],
    [1, 25],
    [1, 25],
    [2, 4],
    [2, 9],
  ] as const;
  for (const [attempt, recordsIn] of steps) {
    if (attempt === 2) metrics.removeAttempt(attemptOf(1));
    record(attempt, { recordsIn, recordsOut: recordsIn * 2 });
    totals.push(...(await series('millrace_task_records_in_total')));
  }
  t.deepEqual(totals, [10, 25, 25, 29, 34]);
  t.deepEqual(await series('millrace_task_records_out_total'), [68]);
});

test('the coordinator is told the counts of the attempt, side outputs among them', (t) => {
  const { record } = open();
  record(1, { recordsIn: 10 });
  const message = record(2, {
    recordsIn: 3,
    recordsOut: 4,
    metrics: [
      { kind: 'counter', name: 'bytes_in', value: 5 },
      { kind: 'gauge', name: 'pending_records', value: 6 },
      { kind: 'histogram', name: 'commit_seconds', values: [7] },
    ],
  });
  t.deepEqual(message.attempt, attemptOf(2));
  t.deepEqual(message.operators, [
    {
      operator: 'count',
      subtask: 1,
      recordsIn: 3,
      recordsOut: 4,
      sideOutputs: { late: 2 },
      metrics: { bytes_in: 5, pending_records: 6 },
    },
  ]);
});

test('a second of a task is busy, back-pressured or idle', async (t) => {
  const { record, series } = open();
  record(1, { busyMs: 100, backPressuredMs: 50 });
  const { tasks } = record(1, { busyMs: 700, backPressuredMs: 250 }, 2000);
  t.deepEqual(tasks, [
    {
      task: { vertex: 'count', subtask: 1 },
      busyMsPerSecond: 300,
      backPressuredMsPerSecond: 100,
      idleMsPerSecond: 600,
      currentWatermark: undefined,
    },
  ]);
  t.deepEqual(await series('millrace_task_busy_ms_per_second'), [300]);
  t.deepEqual(await series('millrace_task_back_pressured_ms_per_second'), [100]);
  t.deepEqual(await series('millrace_task_idle_ms_per_second'), [600]);
});

test('no share is more than the whole, however late a report is', (t) => {
  const { record } = open();
  const [task] = record(1, { busyMs: 5000 }, 1000).tasks;
  t.is(task?.busyMsPerSecond, 1000);
  t.is(task?.idleMsPerSecond, 0);
  const [again] = record(1, { busyMs: 6000 }, 0).tasks;
  t.is(again?.busyMsPerSecond, 0);
});

test('before the first watermark there is none; then it is shown with its lag', async (t) => {
  const { record, series } = open();
  t.is(record(1, {}).tasks[0]?.currentWatermark, undefined);
  t.deepEqual(await series('millrace_task_current_watermark_ms'), []);
  t.is(record(1, { watermark: 9_000 }).tasks[0]?.currentWatermark, 9_000);
  t.deepEqual(await series('millrace_task_current_watermark_ms'), [9_000]);
  t.deepEqual(await series('millrace_task_watermark_lag_ms'), [1_000]);
});

test('the last watermark is told to the coordinator, and is behind nothing', async (t) => {
  const { record, series } = open();
  t.is(record(1, { watermark: MAX_WATERMARK }).tasks[0]?.currentWatermark, MAX_WATERMARK);
  t.deepEqual(await series('millrace_task_watermark_lag_ms'), []);
});

test('the gauges of a removed attempt vanish, its totals stay', async (t) => {
  const { metrics, record, series } = open();
  record(1, { recordsIn: 7, busyMs: 10, watermark: 9_000 });
  metrics.removeAttempt(attemptOf(1));
  for (const gauge of [
    'millrace_task_busy_ms_per_second',
    'millrace_task_back_pressured_ms_per_second',
    'millrace_task_idle_ms_per_second',
    'millrace_task_current_watermark_ms',
    'millrace_task_watermark_lag_ms',
  ]) {
    t.deepEqual(await series(gauge), [], gauge);
  }
  t.deepEqual(await series('millrace_task_records_in_total'), [7]);
});

test('removing an attempt leaves other jobs and attempts of similar names alone', async (t) => {
  const { metrics, record, series } = open();
  record(12, { busyMs: 10 });
  metrics.removeAttempt(attemptOf(1));
  metrics.removeAttempt({ jobId: 'jo', attempt: 12, epoch: 1 });
  t.deepEqual(await series('millrace_task_busy_ms_per_second'), [10]);
});

test('what Prometheus reads names every series with its help', async (t) => {
  const { metrics, record } = open();
  record(1, { recordsIn: 7 });
  const text = await metrics.registry.metrics();
  t.regex(text, /# HELP millrace_task_records_in_total Records that an operator has taken in/);
  t.regex(text, /millrace_task_records_in_total\{job="job",operator="count",subtask="1"\} 7\n/);
});
