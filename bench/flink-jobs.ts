/** Which benchmarks have a job in bench/peers/flink, and what is to be reached beside it. */

export interface FlinkJobOptions {
  /** As PeerJob calls it. */
  readonly job: string;
  readonly stateBackend: 'hashmap' | 'rocksdb';
  /** As the benchmark's own job has it. */
  readonly checkpointIntervalMs: number;
  /** The share of Flink's records per second that is to be reached. */
  readonly ratioMin: number;
}

function inMemory(job: string, ratioMin: number, checkpointIntervalMs = 10_000): FlinkJobOptions {
  return { job, stateBackend: 'hashmap', checkpointIntervalMs, ratioMin };
}

function inRocksDb(job: string, ratioMin: number): FlinkJobOptions {
  return { job, stateBackend: 'rocksdb', checkpointIntervalMs: 10_000, ratioMin };
}

/** By benchmark. */
export const FLINK_JOBS: ReadonlyMap<string, FlinkJobOptions> = new Map([
  ['passthrough', inMemory('passthrough', 1, 1000)],
  ['window', inMemory('window', 1.2)],
  ['state', inMemory('state', 1)],
  ['state-cached', inRocksDb('state', 1.5)],
  ['state-uniform', inRocksDb('state-uniform', 1.5)],
  ['json', inMemory('json', 1.5)],
  ['nexmark-q1', inMemory('nexmark-q1', 1)],
  ['nexmark-q5', inMemory('nexmark-q5', 1)],
  ['nexmark-q8', inMemory('nexmark-q8', 1)],
]);
