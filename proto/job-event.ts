/**
 * What a worker reports about tasks, slots and checkpoints -> events of the job decider, without
 * their stamp. Reports that make no sense (a part missing, a state that no task reports) become
 * undefined: they are dropped, and what waits for them times out.
 */
import type { Attempt, TaskId } from '../core/execution-state.js';
import type { JobEvent } from '../core/job-decider.js';
import { STATE_FILE_KINDS, type CheckpointTimings, type StateFile } from '../core/state-file.js';
import { failureFromWire } from './failure.js';
import {
  TaskState,
  type CheckpointAcknowledged,
  type StateFile as WireStateFile,
  type TaskStateChanged,
  type WorkerMessage,
} from './gen/millrace/v1/control.js';

type WithoutStamp<E> = E extends unknown ? Omit<E, 'nowMs' | 'wallMs'> : never;

/** An event of the job decider to which the shell adds when it happened. */
export type UnstampedJobEvent = WithoutStamp<JobEvent>;

type Report = NonNullable<WorkerMessage['message']>;

const TASK_STATES = {
  [TaskState.TASK_STATE_RUNNING]: 'RUNNING',
  [TaskState.TASK_STATE_DRAINED]: 'DRAINED',
  [TaskState.TASK_STATE_FINISHED]: 'FINISHED',
  [TaskState.TASK_STATE_CANCELED]: 'CANCELED',
  [TaskState.TASK_STATE_FAILED]: 'FAILED',
} as const;

const NO_TIMINGS: CheckpointTimings = {
  unaligned: false,
  startDelayMs: 0,
  alignmentMs: 0,
  syncMs: 0,
  asyncMs: 0,
};

export function jobEventFromWire(attempt: Attempt, report: Report): UnstampedJobEvent | undefined {
  switch (report.$case) {
    case 'taskState':
      return taskStateFromWire(attempt, report.value);
    case 'slotState': {
      const { slice, released, failure } = report.value;
      const known = failure === undefined ? {} : { failure: failureFromWire(failure) };
      return { kind: 'slotState', attempt, slice, released, ...known };
    }
    case 'checkpointAcknowledged':
      return acknowledgedFromWire(attempt, report.value);
    case 'checkpointDeclined': {
      const { checkpointId, task, failure } = report.value;
      if (task === undefined) return undefined;
      return {
        kind: 'declined',
        attempt,
        checkpointId,
        task: taskIdFromWire(task),
        failure: failureFromWire(failure),
      };
    }
    case 'checkpointCommitted': {
      const { checkpointId, task } = report.value;
      if (task === undefined) return undefined;
      return { kind: 'committed', attempt, checkpointId, task: taskIdFromWire(task) };
    }
    default:
      return undefined;
  }
}

function taskStateFromWire(
  attempt: Attempt,
  { task, state, failure }: TaskStateChanged,
): UnstampedJobEvent | undefined {
  if (task === undefined || !(state in TASK_STATES)) return undefined;
  return {
    kind: 'taskState',
    attempt,
    task: taskIdFromWire(task),
    state: TASK_STATES[state as keyof typeof TASK_STATES],
    ...(failure === undefined ? {} : { failure: failureFromWire(failure) }),
  };
}

function acknowledgedFromWire(
  attempt: Attempt,
  { checkpointId, task, files, timings }: CheckpointAcknowledged,
): UnstampedJobEvent | undefined {
  if (task === undefined) return undefined;
  const read = files.map(stateFileFromWire);
  if (read.some((file) => file === undefined)) return undefined;
  return {
    kind: 'acknowledged',
    attempt,
    checkpointId,
    task: taskIdFromWire(task),
    files: read.filter((file) => file !== undefined),
    timings: timings ?? NO_TIMINGS,
  };
}

function stateFileFromWire({ kind, ...file }: WireStateFile): StateFile | undefined {
  const known = STATE_FILE_KINDS.find((one) => one === kind);
  return known === undefined ? undefined : { ...file, kind: known };
}

/** A copy of exactly the fields that core knows. */
function taskIdFromWire({ vertex, subtask }: TaskId): TaskId {
  return { vertex, subtask };
}
