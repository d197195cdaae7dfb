/**
 * A checkpoint on its way: its lifecycle as one table of legal transitions, and who has
 * acknowledged it so far. Part of the checkpoint decider, which alone decides when it moves.
 */
import { invariant } from './errors.js';
import { taskKey, type Stamp, type TaskId } from './execution-state.js';
import type { CheckpointTimings, StateFile } from './state-file.js';
import type { CheckpointConfig } from './stream-graph.js';

/**
 * ALLOCATING: its id is being taken; TRIGGERED: tasks are snapshotting; WRITING: all have
 * acknowledged, the manifest is being written; COMPLETING: the one compare-and-set is under way, so
 * that it can no longer be aborted from here.
 */
export const PENDING_CHECKPOINT_TRANSITIONS = {
  ALLOCATING: ['TRIGGERED', 'ABORTED'],
  TRIGGERED: ['WRITING', 'ABORTED'],
  WRITING: ['COMPLETING', 'ABORTED'],
  COMPLETING: ['COMPLETED', 'ABORTED'],
  COMPLETED: [],
  ABORTED: [],
} as const satisfies Record<string, readonly string[]>;

export type PendingCheckpointState = keyof typeof PENDING_CHECKPOINT_TRANSITIONS;

export interface SavepointRequest {
  readonly savepointId: string;
  /** Sources emit nothing after the barrier, and the job finishes with the savepoint. */
  readonly stopAfter: boolean;
}

export interface TaskAcknowledgement {
  readonly task: TaskId;
  readonly files: readonly StateFile[];
  readonly timings: CheckpointTimings;
}

export interface PendingCheckpoint {
  readonly state: PendingCheckpointState;
  /** 0 while ALLOCATING. */
  readonly checkpointId: number;
  /** Blob key prefix of what is written for it, with a slash at the end; empty while ALLOCATING. */
  readonly prefix: string;
  readonly savepoint?: SavepointRequest;
  /** Every task was DRAINED before it began: nothing comes after it. */
  readonly final: boolean;
  readonly requestedAtMs: number;
  readonly acknowledged: ReadonlyMap<string, TaskAcknowledgement>;
}

export function createPending(
  stamp: Stamp,
  final: boolean,
  savepoint: SavepointRequest | undefined,
): PendingCheckpoint {
  return {
    state: 'ALLOCATING',
    checkpointId: 0,
    prefix: '',
    ...(savepoint === undefined ? {} : { savepoint }),
    final,
    requestedAtMs: stamp.nowMs,
    acknowledged: new Map(),
  };
}

/** @throws MillraceError INTERNAL if the table has no such transition */
export function movePending(
  pending: PendingCheckpoint,
  to: PendingCheckpointState,
): PendingCheckpoint {
  const targets: readonly PendingCheckpointState[] = PENDING_CHECKPOINT_TRANSITIONS[pending.state];
  invariant(targets.includes(to), `a checkpoint moves from ${pending.state} to ${to}`);
  return { ...pending, state: to };
}

/** The same acknowledgement twice changes nothing: the first one counts. */
export function acknowledge(
  pending: PendingCheckpoint,
  acknowledgement: TaskAcknowledgement,
): PendingCheckpoint {
  const key = taskKey(acknowledgement.task);
  if (pending.acknowledged.has(key)) return pending;
  return {
    ...pending,
    acknowledged: new Map(pending.acknowledged).set(key, acknowledgement),
  };
}

/**
 * When the checkpoint's barriers overtake, ms after its trigger; null: never. A savepoint holds no in-flight data, so
 * that any job can start from it; after the last record nothing is in flight.
 */
export function alignmentTimeoutOf(
  { savepoint, final }: PendingCheckpoint,
  { alignmentTimeoutMs }: CheckpointConfig,
): number | null {
  return savepoint !== undefined || final ? null : alignmentTimeoutMs;
}

/** Whether barriers of a checkpoint overtook in any of its tasks, and the bytes of in-flight data in it. */
export function inFlightOf(acknowledged: PendingCheckpoint['acknowledged']): {
  readonly unaligned: boolean;
  readonly inFlightBytes: number;
} {
  let unaligned = false;
  let inFlightBytes = 0;
  for (const { files, timings } of acknowledged.values()) {
    unaligned ||= timings.unaligned;
    inFlightBytes += inFlightBytesOf(files);
  }
  return { unaligned, inFlightBytes };
}

export function inFlightBytesOf(files: readonly StateFile[]): number {
  let bytes = 0;
  for (const file of files) if (file.kind === 'channel') bytes += file.lengthBytes;
  return bytes;
}

/** How large a checkpoint, or a task's part in it, is. */
export interface CheckpointSize {
  /** Of all files that it names: what a restore reads. Flink's full checkpoint data size. */
  readonly bytes: number;
  /** Of those that were written for it. Flink's checkpointed data size. */
  readonly checkpointedBytes: number;
}

/** @param prefix of the checkpoint; a file that several tasks name counts once */
export function sizeOf(
  tasks: Iterable<{ readonly files: readonly StateFile[] }>,
  prefix: string,
): CheckpointSize {
  const counted = new Set<string>();
  let bytes = 0;
  let checkpointedBytes = 0;
  for (const { files } of tasks) {
    for (const { key, lengthBytes } of files) {
      if (counted.has(key)) continue;
      counted.add(key);
      bytes += lengthBytes;
      if (key.startsWith(prefix)) checkpointedBytes += lengthBytes;
    }
  }
  return { bytes, checkpointedBytes };
}

/** Of what has been acknowledged so far. */
export function acknowledgedSize({ acknowledged, prefix }: PendingCheckpoint): CheckpointSize {
  return sizeOf(acknowledged.values(), prefix);
}
