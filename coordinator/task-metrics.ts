/**
 * The latest figures that tasks of a job have reported, for the REST API; Prometheus scrapes the
 * workers themselves. Figures of an earlier attempt are forgotten when a later one reports. Bounded
 * by the job graph: what the graph doesn't have is not kept.
 */
import type { JobGraph } from '../core/job-graph.js';
import type { TaskMetrics } from '../proto/gen/millrace/v1/control.js';

export interface OperatorFigures {
  recordsIn: number;
  recordsOut: number;
  readonly sideOutputs: Map<string, number>;
  /** Counters and gauges that the connector has named. */
  readonly metrics: Map<string, number>;
}

export interface TaskFigures {
  readonly busyMsPerSecond: number;
  readonly idleMsPerSecond: number;
  readonly backPressuredMsPerSecond: number;
  readonly watermarkMs: number | undefined;
}

const SIDE_OUTPUTS_MAX = 100;
const METRICS_MAX = 32;

export class TaskMetricsStore {
  #parallelismOf: ReadonlyMap<string, number> = new Map();
  readonly #vertexOf = new Map<string, string>();
  #attempt = 0;
  /** By `operator/subtask`. */
  readonly #operators = new Map<string, OperatorFigures>();
  /** By `vertex/subtask`. */
  readonly #tasks = new Map<string, TaskFigures>();

  constructor(graph: JobGraph) {
    this.deployed(graph);
    for (const vertex of graph.vertices) {
      for (const operator of vertex.operators) this.#vertexOf.set(operator.name, vertex.id);
    }
  }

  /** The job runs at the parallelism of this graph from now on. */
  deployed(graph: JobGraph): void {
    this.#parallelismOf = new Map(graph.vertices.map(({ id, parallelism }) => [id, parallelism]));
  }

  report(attempt: number, metrics: TaskMetrics): void {
    if (attempt < this.#attempt) return;
    if (attempt > this.#attempt) {
      this.#attempt = attempt;
      this.#operators.clear();
      this.#tasks.clear();
    }
    for (const { operator, subtask, recordsIn, recordsOut, ...named } of metrics.operators) {
      if (!this.#has(this.#vertexOf.get(operator), subtask)) continue;
      this.#operators.set(`${operator}/${subtask}`, {
        recordsIn,
        recordsOut,
        sideOutputs: new Map(Object.entries(named.sideOutputs).slice(0, SIDE_OUTPUTS_MAX)),
        metrics: new Map(Object.entries(named.metrics).slice(0, METRICS_MAX)),
      });
    }
    for (const { task, currentWatermark, ...times } of metrics.tasks) {
      if (task === undefined || !this.#has(task.vertex, task.subtask)) continue;
      this.#tasks.set(`${task.vertex}/${task.subtask}`, {
        busyMsPerSecond: times.busyMsPerSecond,
        idleMsPerSecond: times.idleMsPerSecond,
        backPressuredMsPerSecond: times.backPressuredMsPerSecond,
        watermarkMs: currentWatermark,
      });
    }
  }

  /** Sums over the operator's subtasks; of a metric that ends in `_max` the largest. */
  operator(name: string): OperatorFigures {
    const sum: OperatorFigures = {
      recordsIn: 0,
      recordsOut: 0,
      sideOutputs: new Map(),
      metrics: new Map(),
    };
    const parallelism = this.#parallelismOf.get(this.#vertexOf.get(name) ?? '') ?? 0;
    for (let subtask = 0; subtask < parallelism; subtask++) {
      const figures = this.#operators.get(`${name}/${subtask}`);
      if (figures === undefined) continue;
      sum.recordsIn += figures.recordsIn;
      sum.recordsOut += figures.recordsOut;
      for (const [output, count] of figures.sideOutputs) {
        sum.sideOutputs.set(output, (sum.sideOutputs.get(output) ?? 0) + count);
      }
      for (const [metric, value] of figures.metrics) {
        const before = sum.metrics.get(metric);
        const both = metric.endsWith('_max')
          ? Math.max(before ?? value, value)
          : (before ?? 0) + value;
        sum.metrics.set(metric, both);
      }
    }
    return sum;
  }

  task(vertex: string, subtask: number): TaskFigures | undefined {
    return this.#tasks.get(`${vertex}/${subtask}`);
  }

  #has(vertex: string | undefined, subtask: number): boolean {
    return vertex !== undefined && subtask < (this.#parallelismOf.get(vertex) ?? 0);
  }
}
