/** A small job (source -> count by key -> sink, at parallelism 2) and the events that drive it. */
import { createJobGraph, type JobGraph } from '../../core/job-graph.js';
import type { SliceLocation, Stamp, TaskId } from '../../core/execution-state.js';
import type { ScalingOptions } from '../../core/scaling-decider.js';
import type { ScalingConfig } from '../../core/scaling-protocol.js';
import type { StateFile } from '../../core/state-file.js';
import type { StreamGraph } from '../../core/stream-graph.js';

export const STREAM_GRAPH: StreamGraph = {
  jobName: 'count',
  maxParallelism: 128,
  checkpoint: {
    intervalMs: 1_000,
    timeoutMs: 5_000,
    retained: 2,
    minPauseMs: 100,
    tolerableFailures: 1,
    alignmentTimeoutMs: 500,
  },
  restart: { kind: 'fixedDelay', attempts: 3, delayMs: 200 },
  state: { backend: 'memory', memoryBytesMax: 268_435_456 },
  bufferTimeoutMs: 10,
  watermarkIntervalMs: 100,
  nodes: [
    {
      name: 'numbers',
      kind: 'source',
      chainable: true,
      inputs: [],
      outputs: { main: 'string' },
      states: [],
      declaredAt: 'job.ts:1:1',
    },
    {
      name: 'count',
      kind: 'process',
      chainable: true,
      inputs: [{ from: 'numbers', output: 'main', partitioning: 'hash' }],
      outputs: { main: 'int32' },
      states: [{ name: 'seen', kind: 'value', schema: 'int32' }],
      declaredAt: 'job.ts:2:1',
    },
    {
      name: 'out',
      kind: 'sink',
      chainable: true,
      inputs: [{ from: 'count', output: 'main', partitioning: 'forward' }],
      outputs: {},
      states: [],
      declaredAt: 'job.ts:3:1',
    },
  ],
};

export const SCALING_CONFIG: ScalingConfig = {
  stabilizationMs: 1_000,
  cooldownMs: 10_000,
  slotWaitMs: 30_000,
  recoverySlotWaitMs: 300_000,
};

/** Two slots or none: as a job runs whose parallelism is fixed. */
export const EXACTLY_TWO: ScalingOptions = {
  desiredParallelism: 2,
  exact: true,
  config: SCALING_CONFIG,
};

export const GRAPH: JobGraph = createJobGraph(STREAM_GRAPH, 2);

export const TASKS: readonly TaskId[] = GRAPH.vertices.flatMap(({ id, parallelism }) =>
  Array.from({ length: parallelism }, (_, subtask) => ({ vertex: id, subtask })),
);

export const WORKERS = ['w1', 'w2', 'w3'] as const;

export function locationOf(workerId: string): SliceLocation {
  return { workerId, dataAddress: `${workerId}:7000` };
}

export function stampAt(nowMs: number): Stamp {
  return { nowMs, wallMs: 1_700_000_000_000 + nowMs };
}

/** @param prefix of the checkpoint that writes it, or the savepoint's */
export function fileOf(
  task: TaskId,
  checkpointId: number,
  prefix = `jobs/j1/chk-${checkpointId}/`,
): StateFile {
  return {
    operator: task.vertex,
    kind: 'operator',
    key: `${prefix}${task.vertex}-${task.subtask}`,
    lengthBytes: 100,
    sha256: 'ab'.repeat(32),
    keyGroupStart: 0,
    keyGroupEnd: 0,
  };
}

export const TIMINGS = { unaligned: false, startDelayMs: 1, alignmentMs: 2, syncMs: 3, asyncMs: 4 };
