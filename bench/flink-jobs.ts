/** Which benchmarks have a job in bench/peers/flink, and what is to be reached beside it. */

export interface FlinkJobOptions {
  /** As PeerJob calls it. */
  readonly job: string;
  readonly stateBackend: 'hashmap' | 'rocksdb';
  /** As the benchmark's own job has it. */
  readonly checkpointIntervalMs: number;
  /** The share of Flink's records per second that is to be reached, by benchmarks of a rate. */
  readonly ratioMin?: number;
}

function inMemory(job: string, ratioMin: number, checkpointIntervalMs = 10_000): FlinkJobOptions {
  return { job, stateBackend: 'hashmap', checkpointIntervalMs, ratioMin };
}

function inRocksDb(job: string, ratioMin: number): FlinkJobOptions {
  return { job, stateBackend: 'rocksdb', checkpointIntervalMs: 10_000, ratioMin };
}

/** By benchmark of records per second. */
export const FLINK_JOBS: ReadonlyMap<string, FlinkJobOptions> = new Map([
  ['passthrough', inMemory('passthrough', 1, 1000)],
  ['window', inMemory('window', 1.2)],
  ['window-rocksdb', inRocksDb('window', 1.5)],
  ['state', inMemory('state', 1)],
  ['state-rocksdb', inRocksDb('state', 1.5)],
  ['state-rocksdb-zipf', inRocksDb('state-zipf', 1.5)],
  ['json', inMemory('json', 1.5)],
  ['kafka-job', inMemory('kafka', 1, 2000)],
  ['nexmark-q1', inMemory('nexmark-q1', 1)],
  ['nexmark-q5', inMemory('nexmark-q5', 1)],
  ['nexmark-q8', inMemory('nexmark-q8', 1)],
]);

export const FLINK_PASSTHROUGH: FlinkJobOptions = {
  job: 'passthrough',
  stateBackend: 'hashmap',
  checkpointIntervalMs: 1000,
};

export const FLINK_LATENCY: FlinkJobOptions = {
  job: 'latency',
  stateBackend: 'hashmap',
  checkpointIntervalMs: 10_000,
};

export const FLINK_RECOVERY: FlinkJobOptions = {
  job: 'state',
  stateBackend: 'hashmap',
  checkpointIntervalMs: 5000,
};

/** Its checkpoints are asked for, one by one. */
export const FLINK_CHECKPOINT: FlinkJobOptions = {
  job: 'checkpoint',
  stateBackend: 'rocksdb',
  checkpointIntervalMs: 3_600_000,
};
