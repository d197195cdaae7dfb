/**
 * The lifecycles of a job and of its tasks, each as one table of legal transitions, with the names
 * that identify an attempt, a task and a slot's place. Vocabulary of the execution graph and of
 * everything that reports to it. It must never decide anything.
 */
import { invariant, type SerializedError } from './errors.js';

/** Flink's JobStatus. SUSPENDED: another coordinator has taken the job over; it goes on there. */
export const JOB_STATUS_TRANSITIONS = {
  CREATED: ['RUNNING', 'RESTARTING', 'FAILING', 'CANCELLING', 'SUSPENDED'],
  RUNNING: ['RESTARTING', 'FAILING', 'CANCELLING', 'FINISHED', 'SUSPENDED'],
  RESTARTING: ['RUNNING', 'FAILING', 'CANCELLING', 'SUSPENDED'],
  FAILING: ['FAILED', 'SUSPENDED'],
  CANCELLING: ['CANCELED', 'SUSPENDED'],
  FAILED: [],
  CANCELED: [],
  FINISHED: [],
  SUSPENDED: [],
} as const satisfies Record<string, readonly string[]>;

export type JobStatus = keyof typeof JOB_STATUS_TRANSITIONS;

/**
 * Flink's ExecutionState, with DRAINED: the task's input has ended and everything is flushed, but
 * it still takes part in checkpoints.
 */
export const EXECUTION_STATE_TRANSITIONS = {
  CREATED: ['SCHEDULED', 'CANCELED', 'FAILED'],
  SCHEDULED: ['DEPLOYING', 'CANCELED', 'FAILED'],
  DEPLOYING: ['RUNNING', 'CANCELING', 'CANCELED', 'FAILED'],
  RUNNING: ['DRAINED', 'FINISHED', 'CANCELING', 'CANCELED', 'FAILED'],
  DRAINED: ['FINISHED', 'CANCELING', 'CANCELED', 'FAILED'],
  CANCELING: ['CANCELED', 'FAILED', 'FINISHED'],
  FINISHED: [],
  CANCELED: [],
  FAILED: [],
} as const satisfies Record<string, readonly string[]>;

export type ExecutionState = keyof typeof EXECUTION_STATE_TRANSITIONS;

/** One attempt at running a job under one coordinator's epoch; every message about tasks carries it. */
export interface Attempt {
  readonly jobId: string;
  readonly attempt: number;
  readonly epoch: number;
}

export interface TaskId {
  readonly vertex: string;
  readonly subtask: number;
}

/** Where a slice of an attempt runs. */
export interface SliceLocation {
  readonly workerId: string;
  /** host:port of the worker's exchange server. */
  readonly dataAddress: string;
}

/** When an event happened. Every event of the pure steps carries it. */
export interface Stamp {
  /** Monotonic, ms: all decisions about time use this one. */
  readonly nowMs: number;
  /** Wall clock, ms since the epoch: shown to people, never compared. */
  readonly wallMs: number;
}

/** A failure as it is kept and shown; the cause says operator, subtask and worker where known. */
export interface FailureRecord {
  readonly attempt: number;
  readonly atMs: number;
  readonly cause: SerializedError;
}

export function taskKey(task: TaskId): string {
  return `${task.vertex}/${task.subtask}`;
}

export function isSameAttempt(left: Attempt, right: Attempt): boolean {
  return left.attempt === right.attempt && left.epoch === right.epoch && left.jobId === right.jobId;
}

export function isTerminalJobStatus(status: JobStatus): boolean {
  return JOB_STATUS_TRANSITIONS[status].length === 0;
}

export function isTerminalExecutionState(state: ExecutionState): boolean {
  return EXECUTION_STATE_TRANSITIONS[state].length === 0;
}

export function canMoveTask(from: ExecutionState, to: ExecutionState): boolean {
  const targets: readonly ExecutionState[] = EXECUTION_STATE_TRANSITIONS[from];
  return targets.includes(to);
}

/** @returns `to`. @throws MillraceError INTERNAL if the table has no such transition */
export function moveJob(from: JobStatus, to: JobStatus): JobStatus {
  const targets: readonly JobStatus[] = JOB_STATUS_TRANSITIONS[from];
  invariant(targets.includes(to), `a job moves from ${from} to ${to}`);
  return to;
}
