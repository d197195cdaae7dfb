/**
 * What a connector counts and measures, in Flink's words: it names its metrics where it begins, and
 * they go the way of the operator's own counts. Nothing here costs anything per record that the connector
 * does not ask for.
 */

/** Only grows, as long as the subtask runs. */
export interface Counter {
  /** @param count 1 unless told; not below 0 */
  inc(count?: number): void;
}

/** Asked whenever metrics are reported, every few seconds; undefined: it has no value now. */
export type Gauge = () => number | undefined;

/** Of durations in seconds. For what happens a few times a second: of 1,000 between two reports the rest is left out. */
export interface Histogram {
  update(seconds: number): void;
}

/**
 * The metrics of one operator's subtask. A name has lower-case letters, digits and single underscores, 64 at
 * most; a subtask has 32 names at most. Who names one again gets the same, and a gauge anew replaces the former.
 *
 * A worker's Prometheus page shows counter `x` as `millrace_operator_x_total`, gauge and histogram `x` as
 * `millrace_operator_x`, by job, operator and subtask.
 */
export interface MetricGroup {
  /** @throws MillraceError JOB_INVALID for a name that is none, is one too many, or is of another kind */
  counter(name: string): Counter;
  /** Shown as the sum over the subtasks where they are taken together, but as the largest where it ends in `_max`. */
  gauge(name: string, gauge: Gauge): void;
  /** The name has to end in `_seconds`. */
  histogram(name: string): Histogram;
}

/** Reported to nobody: for a connector that is used outside of a job, as in tests. */
export const unregisteredMetrics: MetricGroup = {
  counter: () => ({ inc: () => undefined }),
  gauge: () => undefined,
  histogram: () => ({ update: () => undefined }),
};
