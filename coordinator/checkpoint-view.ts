/** How a job's checkpoints look over REST: DTOs made of the decider's history. Pure. */
import type {
  CheckpointDetails,
  JobCheckpoints,
  RetainedCheckpoint,
  TaskCheckpointTimings,
} from '../api/rest/checkpoint-dto.js';
import type { CheckpointHistoryEntry } from '../core/checkpoint-history.js';
import type { CompletedCheckpoint } from '../core/checkpoint-protocol.js';
import type { JobDeciderState } from '../core/job-decider.js';
import {
  acknowledgedSize,
  inFlightBytesOf,
  inFlightOf,
  sizeOf,
  type PendingCheckpoint,
} from '../core/pending-checkpoint.js';
import type { JobRecord } from './job-record.js';

/** What the decider of a running job knows; which ones are retained is the pointer's to say. */
export type CheckpointStatistics = Omit<JobCheckpoints, 'retained'>;

export function describeCheckpoints(
  { jobId, jobName }: JobRecord,
  { checkpoints, restoredCount }: JobDeciderState,
): CheckpointStatistics {
  const { history: counted, pending } = checkpoints;
  const history = counted.entries.map((entry) => describeEntry(entry, pending)).reverse();
  return {
    jobId,
    jobName,
    counts: {
      triggered: counted.triggered,
      inProgress: history.filter(({ status }) => status === 'IN_PROGRESS').length,
      completed: counted.completed,
      failed: counted.failed,
      restored: restoredCount,
    },
    latestCompleted: history.find(({ status }) => status === 'COMPLETED') ?? null,
    history,
  };
}

/** A job of an earlier coordinator: nothing but what it retains is known of its checkpoints here. */
export function describeNoCheckpoints({ jobId, jobName }: JobRecord): CheckpointStatistics {
  const counts = { triggered: 0, inProgress: 0, completed: 0, failed: 0, restored: 0 };
  return { jobId, jobName, counts, latestCompleted: null, history: [] };
}

export function describeRetained({
  checkpointId,
  savepointId,
  bytes,
  completedAtMs,
}: CompletedCheckpoint): RetainedCheckpoint {
  return { checkpointId, savepointId: savepointId ?? null, bytes, completedAtMs };
}

function describeEntry(
  entry: CheckpointHistoryEntry,
  pending: PendingCheckpoint | undefined,
): CheckpointDetails {
  const current = pending?.checkpointId === entry.checkpointId ? pending : undefined;
  const acknowledged = current?.acknowledged ?? entry.acknowledged;
  const { bytes, checkpointedBytes, prefix } = entry;
  return {
    checkpointId: entry.checkpointId,
    kind: entry.savepointId === undefined ? 'checkpoint' : 'savepoint',
    status: entry.status,
    savepointId: entry.savepointId ?? null,
    attempt: entry.attempt,
    triggeredAtMs: entry.triggeredAtMs,
    durationMs: entry.durationMs ?? null,
    ...(current === undefined ? { bytes, checkpointedBytes } : acknowledgedSize(current)),
    ...inFlightOf(acknowledged),
    acknowledged: acknowledged.size,
    tasks: entry.tasks,
    failure: entry.failure ?? null,
    taskTimings: [...acknowledged.values()].map(
      ({ task, timings, files }): TaskCheckpointTimings => ({
        ...task,
        ...timings,
        ...sizeOf([{ files }], prefix),
        inFlightBytes: inFlightBytesOf(files),
      }),
    ),
  };
}
