/**
 * The metrics that connectors have named, as Prometheus series (slot's report -> worker's page). Jobs of
 * different authors share a worker: what is wrong with a name or value of one is left out, and never
 * fails another.
 */
import { Counter, Gauge, Histogram, type Registry } from 'prom-client';
import type { MetricReport } from './operators/operator-metric-group.js';

const LABELS = ['job', 'operator', 'subtask'] as const;
type Labels = Readonly<Record<(typeof LABELS)[number], string>>;
type Series =
  | Counter<(typeof LABELS)[number]>
  | Gauge<(typeof LABELS)[number]>
  | Histogram<(typeof LABELS)[number]>;

/** Of all jobs that the worker has met. */
const NAMES_MAX = 256;
const BUCKETS_SECONDS = [
  0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60,
];

export class OperatorMetrics {
  readonly #registry: Registry;
  readonly #series = new Map<string, Series>();
  /** What counters had come to, by attempt and subtask, then by name. */
  readonly #last = new Map<
    string,
    { readonly labels: Labels; readonly counts: Map<string, number> }
  >();

  constructor(registry: Registry) {
    this.#registry = registry;
  }

  /** @param attempt job and attempt as text */
  record(attempt: string, labels: Labels, reports: readonly MetricReport[]): void {
    if (reports.length === 0) return;
    const key = `${attempt}#${labels.operator}#${labels.subtask}`;
    const last = this.#last.get(key) ?? { labels, counts: new Map<string, number>() };
    this.#last.set(key, last);
    for (const report of reports) {
      const series = this.#seriesOf(report);
      if (series instanceof Counter && report.kind === 'counter') {
        const { name, value } = report;
        if (!Number.isFinite(value)) continue;
        series.inc(labels, Math.max(0, value - (last.counts.get(name) ?? 0)));
        last.counts.set(name, value);
      } else if (series instanceof Gauge && report.kind === 'gauge') {
        series.set(labels, report.value);
      } else if (series instanceof Histogram && report.kind === 'histogram') {
        for (const value of report.values)
          if (Number.isFinite(value)) series.observe(labels, value);
      }
    }
  }

  /** Drops what is only true while the attempt runs. */
  removeAttempt(attempt: string): void {
    for (const [key, { labels }] of this.#last) {
      if (!key.startsWith(`${attempt}#`)) continue;
      this.#last.delete(key);
      for (const series of this.#series.values()) {
        if (series instanceof Gauge) series.remove(labels);
      }
    }
  }

  /** Undefined: there are too many; of another kind: the name was taken by another job. */
  #seriesOf({ kind, name }: MetricReport): Series | undefined {
    const shown = `millrace_operator_${name}${kind === 'counter' ? '_total' : ''}`;
    const known = this.#series.get(shown);
    if (known !== undefined || this.#series.size >= NAMES_MAX) return known;
    const options = {
      name: shown,
      help: `Metric "${name}" of connectors`,
      labelNames: LABELS,
      registers: [this.#registry],
    };
    const series =
      kind === 'counter'
        ? new Counter(options)
        : kind === 'gauge'
          ? new Gauge(options)
          : new Histogram({ ...options, buckets: BUCKETS_SECONDS });
    this.#series.set(shown, series);
    return series;
  }
}
