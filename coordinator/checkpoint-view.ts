/** How a job's checkpoints look over REST: DTOs made of the decider's history. Pure. */
import type {
  CheckpointDetails,
  JobCheckpoints,
  TaskCheckpointTimings,
} from '../api/rest/checkpoint-dto.js';
import type { CheckpointHistoryEntry } from '../core/checkpoint-history.js';
import type { JobDeciderState } from '../core/job-decider.js';
import {
  acknowledgedBytes,
  inFlightBytesOf,
  inFlightOf,
  type PendingCheckpoint,
} from '../core/pending-checkpoint.js';
import type { JobRecord } from './job-record.js';

export function describeCheckpoints(
  { jobId, jobName }: JobRecord,
  { checkpoints, restoredCount }: JobDeciderState,
): JobCheckpoints {
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

/** A job of an earlier coordinator: nothing is known of its checkpoints here. */
export function describeNoCheckpoints({ jobId, jobName }: JobRecord): JobCheckpoints {
  const counts = { triggered: 0, inProgress: 0, completed: 0, failed: 0, restored: 0 };
  return { jobId, jobName, counts, latestCompleted: null, history: [] };
}

function describeEntry(
  entry: CheckpointHistoryEntry,
  pending: PendingCheckpoint | undefined,
): CheckpointDetails {
  const current = pending?.checkpointId === entry.checkpointId ? pending : undefined;
  const acknowledged = current?.acknowledged ?? entry.acknowledged;
  return {
    checkpointId: entry.checkpointId,
    kind: entry.savepointId === undefined ? 'checkpoint' : 'savepoint',
    status: entry.status,
    savepointId: entry.savepointId ?? null,
    attempt: entry.attempt,
    triggeredAtMs: entry.triggeredAtMs,
    durationMs: entry.durationMs ?? null,
    bytes: current === undefined ? entry.bytes : acknowledgedBytes(current),
    ...inFlightOf(acknowledged),
    acknowledged: acknowledged.size,
    tasks: entry.tasks,
    failure: entry.failure ?? null,
    taskTimings: [...acknowledged.values()].map(
      ({ task, timings, files }): TaskCheckpointTimings => ({
        ...task,
        ...timings,
        bytes: files.reduce((sum, file) => sum + file.lengthBytes, 0),
        inFlightBytes: inFlightBytesOf(files),
      }),
    ),
  };
}
