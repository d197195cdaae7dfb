/**
 * The metrics that the connector of one subtask has named (metric group -> slot's report -> worker's
 * series). Bounded in names and values; it must never fail a task because of a value.
 */
import type { Counter, Gauge, Histogram, MetricGroup } from '../../api/metrics.js';
import { MillraceError } from '../../core/errors.js';

/** A metric as it is now; a histogram with what it was given since the last report. */
export type MetricReport =
  | { readonly kind: 'counter' | 'gauge'; readonly name: string; readonly value: number }
  | { readonly kind: 'histogram'; readonly name: string; readonly values: readonly number[] };

interface Metric {
  readonly kind: MetricReport['kind'];
  /** Of the same kind. */
  report(name: string): MetricReport | undefined;
}

const NAME = /^[a-z][a-z0-9]*(_[a-z0-9]+)*$/;
const NAME_LENGTH_MAX = 64;
const NAMES_MAX = 32;
const VALUES_MAX = 1_000;

export class OperatorMetricGroup implements MetricGroup {
  readonly #operator: string;
  readonly #metrics = new Map<string, Metric>();

  constructor(operator: string) {
    this.#operator = operator;
  }

  counter(name: string): Counter {
    return this.#named(name, RunningCounter, () => new RunningCounter());
  }

  gauge(name: string, gauge: Gauge): void {
    this.#named(name, AskedGauge, () => new AskedGauge()).ask = gauge;
  }

  histogram(name: string): Histogram {
    if (!name.endsWith('_seconds')) {
      throw this.#invalid(name, 'a histogram is of durations; let the name end in _seconds');
    }
    return this.#named(name, RecentValues, () => new RecentValues());
  }

  /** Takes the values of histograms along. */
  report(): readonly MetricReport[] {
    return [...this.#metrics].flatMap(([name, metric]) => metric.report(name) ?? []);
  }

  #named<M extends Metric>(name: string, type: abstract new () => M, create: () => M): M {
    const known = this.#metrics.get(name);
    if (known instanceof type) return known;
    if (known !== undefined)
      throw this.#invalid(name, `it is a ${known.kind}; choose another name`);
    if (!NAME.test(name) || name.length > NAME_LENGTH_MAX) {
      throw this.#invalid(
        name,
        `use lower-case letters, digits and single underscores, ${NAME_LENGTH_MAX} at most`,
      );
    }
    if (this.#metrics.size >= NAMES_MAX) {
      throw this.#invalid(name, `it has ${NAMES_MAX} already; name fewer`);
    }
    const metric = create();
    this.#metrics.set(name, metric);
    return metric;
  }

  #invalid(name: string, reason: string): MillraceError {
    return new MillraceError(
      'JOB_INVALID',
      `operator "${this.#operator}" can't have the metric "${name}": ${reason}`,
      { location: { operator: this.#operator } },
    );
  }
}

class RunningCounter implements Counter, Metric {
  readonly kind = 'counter';
  #value = 0;

  inc(count = 1): void {
    this.#value += count;
  }

  report(name: string): MetricReport {
    return { kind: this.kind, name, value: this.#value };
  }
}

class AskedGauge implements Metric {
  readonly kind = 'gauge';
  ask: Gauge = () => undefined;

  report(name: string): MetricReport | undefined {
    let value: number | undefined;
    try {
      value = this.ask();
    } catch {
      // It is asked between records, where no one could be told.
    }
    return value === undefined ? undefined : { kind: this.kind, name, value };
  }
}

class RecentValues implements Histogram, Metric {
  readonly kind = 'histogram';
  #values: number[] = [];

  update(seconds: number): void {
    if (this.#values.length < VALUES_MAX) this.#values.push(seconds);
  }

  report(name: string): MetricReport {
    const values = this.#values;
    this.#values = [];
    return { kind: this.kind, name, values };
  }
}
