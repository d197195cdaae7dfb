/**
 * What the REST API says about a job's checkpoints and savepoints. Field names are stable: scripts
 * read them. Times are ms, moments are ms since the epoch.
 */
import { Type, type Static } from '@sinclair/typebox';

export const TaskCheckpointTimings = Type.Object({
  vertex: Type.String(),
  subtask: Type.Integer(),
  startDelayMs: Type.Number(),
  alignmentMs: Type.Number(),
  syncMs: Type.Number(),
  asyncMs: Type.Number(),
  /** As of the checkpoint as a whole. */
  bytes: Type.Number(),
  /** Whether the barrier overtook queued records in this task. */
  unaligned: Type.Boolean(),
  /** Of the bytes, those of in-flight data. */
  inFlightBytes: Type.Number(),
  checkpointedBytes: Type.Number(),
});
export type TaskCheckpointTimings = Static<typeof TaskCheckpointTimings>;

export type CheckpointKind = 'checkpoint' | 'savepoint';

export const CheckpointDetails = Type.Object({
  checkpointId: Type.Integer(),
  kind: Type.Union([Type.Literal('checkpoint'), Type.Literal('savepoint')]),
  status: Type.Union([
    Type.Literal('IN_PROGRESS'),
    Type.Literal('COMPLETED'),
    Type.Literal('FAILED'),
  ]),
  savepointId: Type.Union([Type.String(), Type.Null()]),
  attempt: Type.Integer(),
  triggeredAtMs: Type.Number(),
  /** From the trigger to completion or failure; null while in progress. */
  durationMs: Type.Union([Type.Number(), Type.Null()]),
  /** Of all files that it names: what a restore from it reads. */
  bytes: Type.Number(),
  /** Whether a barrier overtook queued records in any task. */
  unaligned: Type.Boolean(),
  /** Of the bytes, those of in-flight data. */
  inFlightBytes: Type.Number(),
  /** Of the files that were written for it; the others are those of earlier checkpoints. */
  checkpointedBytes: Type.Number(),
  acknowledged: Type.Integer(),
  tasks: Type.Integer(),
  failure: Type.Union([Type.String(), Type.Null()]),
  taskTimings: Type.Array(TaskCheckpointTimings),
});
export type CheckpointDetails = Static<typeof CheckpointDetails>;

/** One that the job can be started from again, as `--from-savepoint JOB/CHECKPOINT`. */
export const RetainedCheckpoint = Type.Object({
  checkpointId: Type.Integer(),
  savepointId: Type.Union([Type.String(), Type.Null()]),
  bytes: Type.Number(),
  completedAtMs: Type.Number(),
});
export type RetainedCheckpoint = Static<typeof RetainedCheckpoint>;

export const JobCheckpoints = Type.Object({
  jobId: Type.String(),
  jobName: Type.String(),
  counts: Type.Object({
    triggered: Type.Integer(),
    inProgress: Type.Integer(),
    completed: Type.Integer(),
    failed: Type.Integer(),
    restored: Type.Integer(),
  }),
  latestCompleted: Type.Union([CheckpointDetails, Type.Null()]),
  /** Oldest first; the last one is what a restart starts from. */
  retained: Type.Array(RetainedCheckpoint),
  /** The latest ones, newest first. */
  history: Type.Array(CheckpointDetails),
});
export type JobCheckpoints = Static<typeof JobCheckpoints>;

export const DisposedSavepoint = Type.Object({ savepointId: Type.String() });
export type DisposedSavepoint = Static<typeof DisposedSavepoint>;

export const SavepointStatus = Type.Object({
  savepointId: Type.String(),
  jobId: Type.String(),
  status: Type.Union([
    Type.Literal('IN_PROGRESS'),
    Type.Literal('COMPLETED'),
    Type.Literal('FAILED'),
  ]),
  failure: Type.Union([Type.String(), Type.Null()]),
});
export type SavepointStatus = Static<typeof SavepointStatus>;
