/**
 * A worker's metrics: what its slots report, as Prometheus series with Flink's meaning and as the
 * message for the coordinator. It keeps the last report of each task and derives nothing else.
 */
import { Counter, Gauge, Registry, collectDefaultMetrics } from 'prom-client';
import { MAX_WATERMARK } from '../core/watermark.js';
import type { Attempt, TaskMetrics } from '../proto/gen/millrace/v1/control.js';
import type { MetricReport } from './operators/operator-metric-group.js';
import type { RestoredBytes } from './task/task-slot.js';
import type { FromSlot, TaskMetricsReport } from './slot-messages.js';
import { OperatorMetrics } from './operator-metrics.js';
import { StateMetrics } from './state-metrics.js';

type Metrics = Extract<FromSlot, { kind: 'metrics' }>;

const OPERATOR_LABELS = ['job', 'operator', 'subtask'] as const;
const TASK_LABELS = ['job', 'task', 'subtask'] as const;

export class WorkerMetrics {
  readonly registry = new Registry();
  readonly #recordsIn = new Counter({
    name: 'millrace_task_records_in_total',
    help: 'Records that an operator has taken in',
    labelNames: OPERATOR_LABELS,
    registers: [this.registry],
  });
  readonly #recordsOut = new Counter({
    name: 'millrace_task_records_out_total',
    help: 'Records that an operator has put out, side outputs not counted',
    labelNames: OPERATOR_LABELS,
    registers: [this.registry],
  });
  readonly #busy = this.#timeGauge('busy', 'processing');
  readonly #backPressured = this.#timeGauge('back_pressured', 'waiting for its consumers');
  readonly #idle = this.#timeGauge('idle', 'waiting for input');
  readonly #watermark = new Gauge({
    name: 'millrace_task_current_watermark_ms',
    help: 'Watermark of a task, ms since the epoch',
    labelNames: TASK_LABELS,
    registers: [this.registry],
  });
  readonly #lag = new Gauge({
    name: 'millrace_task_watermark_lag_ms',
    help: 'How far a task’s watermark is behind the clock, ms',
    labelNames: TASK_LABELS,
    registers: [this.registry],
  });
  readonly #restored = new Counter({
    name: 'millrace_restored_bytes_total',
    help: 'Bytes of keyed state that slots were restored from, by where they lay',
    labelNames: ['job', 'from'],
    registers: [this.registry],
  });
  readonly #state = new StateMetrics(this.registry);
  readonly #operators = new OperatorMetrics(this.registry);
  readonly #now: () => number;
  readonly #last = new Map<string, TaskMetricsReport>();

  constructor(now: () => number) {
    this.#now = now;
    collectDefaultMetrics({ register: this.registry });
  }

  /** Takes a slot's report in and returns the message for the coordinator. */
  record(attempt: Attempt, { tasks, intervalMs, state }: Metrics): TaskMetrics {
    if (state !== undefined) this.#state.record(attempt.jobId, keyOf(attempt), state);
    return {
      attempt,
      operators: tasks.flatMap(({ task, operators }) =>
        operators.map((counts) => ({
          operator: counts.operator,
          subtask: task.subtask,
          recordsIn: counts.recordsIn,
          recordsOut: counts.recordsOut,
          sideOutputs: { ...counts.sideOutputs },
          metrics: valuesOf(counts.metrics),
        })),
      ),
      tasks: tasks.map((report) => this.#recordTask(attempt, report, intervalMs)),
    };
  }

  /** A slot has brought in its part of a checkpoint. */
  restored(job: string, { localBytes, fetchedBytes }: RestoredBytes): void {
    this.#restored.inc({ job, from: 'this machine' }, localBytes);
    this.#restored.inc({ job, from: 'checkpoint storage' }, fetchedBytes);
  }

  /** Drops what is only true while the attempt runs. */
  removeAttempt(attempt: Attempt): void {
    const { jobId } = attempt;
    this.#state.removeAttempt(jobId, keyOf(attempt));
    this.#operators.removeAttempt(keyOf(attempt));
    const prefix = `${keyOf(attempt)}#`;
    for (const [key, { task }] of this.#last) {
      if (!key.startsWith(prefix)) continue;
      this.#last.delete(key);
      const labels = { job: jobId, task: task.vertex, subtask: String(task.subtask) };
      for (const gauge of [
        this.#busy,
        this.#backPressured,
        this.#idle,
        this.#watermark,
        this.#lag,
      ]) {
        gauge.remove(labels);
      }
    }
  }

  #recordTask(
    attempt: Attempt,
    report: TaskMetricsReport,
    intervalMs: number,
  ): TaskMetrics['tasks'][number] {
    const { task, watermark } = report;
    const key = `${keyOf(attempt)}#${task.vertex}#${task.subtask}`;
    const last = this.#last.get(key);
    this.#last.set(key, report);
    for (const counts of report.operators) {
      const before = last?.operators.find((other) => other.operator === counts.operator);
      const labels = {
        job: attempt.jobId,
        operator: counts.operator,
        subtask: String(task.subtask),
      };
      this.#recordsIn.inc(labels, Math.max(0, counts.recordsIn - (before?.recordsIn ?? 0)));
      this.#recordsOut.inc(labels, Math.max(0, counts.recordsOut - (before?.recordsOut ?? 0)));
      this.#operators.record(keyOf(attempt), labels, counts.metrics);
    }
    const share = (nowMs: number, beforeMs: number): number =>
      intervalMs <= 0 ? 0 : Math.min(1000, ((nowMs - beforeMs) / intervalMs) * 1000);
    const busy = share(report.busyMs, last?.busyMs ?? 0);
    const backPressured = share(report.backPressuredMs, last?.backPressuredMs ?? 0);
    const idle = Math.max(0, 1000 - busy - backPressured);
    const labels = { job: attempt.jobId, task: task.vertex, subtask: String(task.subtask) };
    this.#busy.set(labels, busy);
    this.#backPressured.set(labels, backPressured);
    this.#idle.set(labels, idle);
    // After the last watermark there is no time to be behind.
    if (Number.isFinite(watermark) && watermark < MAX_WATERMARK) {
      this.#watermark.set(labels, watermark);
      this.#lag.set(labels, this.#now() - watermark);
    }
    return {
      task,
      busyMsPerSecond: busy,
      idleMsPerSecond: idle,
      backPressuredMsPerSecond: backPressured,
      currentWatermark: Number.isFinite(watermark) ? watermark : undefined,
    };
  }

  #timeGauge(name: string, doing: string): Gauge<(typeof TASK_LABELS)[number]> {
    return new Gauge({
      name: `millrace_task_${name}_ms_per_second`,
      help: `Time per second that a task spends ${doing}, ms`,
      labelNames: TASK_LABELS,
      registers: [this.registry],
    });
  }
}

/** Of counters and gauges; a distribution is for Prometheus only. */
function valuesOf(metrics: readonly MetricReport[]): Record<string, number> {
  return Object.fromEntries(
    metrics.flatMap((metric) =>
      metric.kind === 'histogram' ? [] : [[metric.name, metric.value] as const],
    ),
  );
}

function keyOf({ jobId, attempt }: Attempt): string {
  return `${jobId}#${attempt}`;
}
