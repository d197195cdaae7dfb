/** Which benchmarks have a job in bench/peers/flink, and what is to be reached beside it. */

export interface FlinkJobOptions {
  /** As the benchmark's own job has it. */
  readonly checkpointIntervalMs: number;
  /** The share of Flink's records per second that is to be reached. */
  readonly ratioMin: number;
}

/** By benchmark; the peer's job has the same name. */
export const FLINK_JOBS: ReadonlyMap<string, FlinkJobOptions> = new Map([
  ['passthrough', { checkpointIntervalMs: 1000, ratioMin: 1 }],
  ['window', { checkpointIntervalMs: 10_000, ratioMin: 1.2 }],
  ['state', { checkpointIntervalMs: 10_000, ratioMin: 1 }],
  ['json', { checkpointIntervalMs: 10_000, ratioMin: 1.5 }],
  ['nexmark-q1', { checkpointIntervalMs: 10_000, ratioMin: 1 }],
  ['nexmark-q5', { checkpointIntervalMs: 10_000, ratioMin: 1 }],
  ['nexmark-q8', { checkpointIntervalMs: 10_000, ratioMin: 1 }],
]);
