/**
 * What people see of a job's checkpoints: the latest ones with their durations, sizes and failures,
 * and counts. Data kept by the checkpoint decider; nothing is ever decided from it.
 */
import type { Stamp } from './execution-state.js';
import {
  acknowledgedSize,
  type CheckpointSize,
  type PendingCheckpoint,
} from './pending-checkpoint.js';

/** Checkpoints kept for showing; older ones are dropped. */
export const CHECKPOINT_HISTORY_MAX = 50;

export interface CheckpointHistoryEntry extends CheckpointSize {
  readonly checkpointId: number;
  readonly prefix: string;
  /** Absent for a checkpoint. */
  readonly savepointId?: string;
  readonly status: 'IN_PROGRESS' | 'COMPLETED' | 'FAILED';
  readonly attempt: number;
  /** Wall clock, ms since the epoch. */
  readonly triggeredAtMs: number;
  /** Ms from the trigger to completion or failure. */
  readonly durationMs?: number;
  readonly tasks: number;
  readonly acknowledged: PendingCheckpoint['acknowledged'];
  readonly failure?: string;
}

export interface CheckpointHistory {
  /** Oldest first. */
  readonly entries: readonly CheckpointHistoryEntry[];
  readonly triggered: number;
  readonly completed: number;
  readonly failed: number;
  /** Reports of another attempt, epoch or checkpoint, which changed nothing. */
  readonly ignoredReports: number;
}

export const EMPTY_CHECKPOINT_HISTORY: CheckpointHistory = {
  entries: [],
  triggered: 0,
  completed: 0,
  failed: 0,
  ignoredReports: 0,
};

export function historyTriggered(
  history: CheckpointHistory,
  pending: PendingCheckpoint,
  attempt: number,
  tasks: number,
  stamp: Stamp,
): CheckpointHistory {
  const entry: CheckpointHistoryEntry = {
    checkpointId: pending.checkpointId,
    prefix: pending.prefix,
    ...(pending.savepoint === undefined ? {} : { savepointId: pending.savepoint.savepointId }),
    status: 'IN_PROGRESS',
    attempt,
    triggeredAtMs: stamp.wallMs,
    bytes: 0,
    checkpointedBytes: 0,
    tasks,
    acknowledged: new Map(),
  };
  return {
    ...history,
    triggered: history.triggered + 1,
    entries: [...history.entries, entry].slice(-CHECKPOINT_HISTORY_MAX),
  };
}

/** @param failure why it was aborted; undefined: it is complete */
export function historyEnded(
  history: CheckpointHistory,
  pending: PendingCheckpoint,
  failure: string | undefined,
  stamp: Stamp,
): CheckpointHistory {
  const entries = history.entries.map((entry): CheckpointHistoryEntry => {
    if (entry.checkpointId !== pending.checkpointId) return entry;
    return {
      ...entry,
      status: failure === undefined ? 'COMPLETED' : 'FAILED',
      durationMs: stamp.nowMs - pending.requestedAtMs,
      ...acknowledgedSize(pending),
      acknowledged: pending.acknowledged,
      ...(failure === undefined ? {} : { failure }),
    };
  });
  return {
    ...history,
    entries,
    completed: history.completed + (failure === undefined ? 1 : 0),
    failed: history.failed + (failure === undefined ? 0 : 1),
  };
}
