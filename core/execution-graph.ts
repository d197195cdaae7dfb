/**
 * The execution graph: which attempt of a job runs where, in which state each of its tasks is, and
 * what happens when one of them, a slot or a worker is lost. A pure step that the job decider
 * composes with the checkpoint decider. It must never start an attempt while a slot of the one
 * before is still held, nor deploy anything once the job is being canceled.
 */
import { assertNever, invariant, type ErrorCode, type SerializedError } from './errors.js';
import type {
  ExecutionEffect,
  ExecutionEvent,
  ExecutionGraphState,
  SlotExecution,
  TaskExecution,
} from './execution-protocol.js';
import {
  canMoveTask,
  isTerminalExecutionState,
  isTerminalJobStatus,
  moveJob,
  taskKey,
  type Attempt,
  type ExecutionState,
  type Stamp,
} from './execution-state.js';
import type { JobGraph } from './job-graph.js';
import { INITIAL_RESTART_STATE, onFailure } from './restart-strategy.js';

/** Failures kept for showing; older ones are dropped. */
export const FAILURES_MAX = 32;
/** A cancel is repeated this often until every slot of the attempt is free. */
export const CANCEL_REPEAT_MS = 5_000;
/** Prepared slots hold memory: for a restart that is further away they are not worth it. */
const PREPARE_DELAY_MAX_MS = 5_000;

interface Draft {
  state: ExecutionGraphState;
  readonly effects: ExecutionEffect[];
}

export interface ExecutionStep {
  readonly state: ExecutionGraphState;
  readonly effects: readonly ExecutionEffect[];
}

export function createExecutionGraph(
  jobId: string,
  epoch: number,
  graph: JobGraph,
  rescales = 0,
): ExecutionGraphState {
  return {
    jobId,
    epoch,
    graph,
    restartConfig: graph.streamGraph.restart,
    status: 'CREATED',
    attempt: 0,
    phase: 'IDLE',
    tasks: tasksOf(graph, 'CREATED'),
    slots: [],
    restart: INITIAL_RESTART_STATE,
    restartAtMs: 0,
    cancelRepeatAtMs: 0,
    failures: [],
    restarts: 0,
    rescales,
  };
}

function tasksOf(graph: JobGraph, state: ExecutionState): Map<string, TaskExecution> {
  const tasks = new Map<string, TaskExecution>();
  for (const vertex of graph.vertices) {
    for (let subtask = 0; subtask < vertex.parallelism; subtask++) {
      const task = { vertex: vertex.id, subtask };
      tasks.set(taskKey(task), { task, state });
    }
  }
  return tasks;
}

export function attemptOf(state: ExecutionGraphState): Attempt {
  return { jobId: state.jobId, attempt: state.attempt, epoch: state.epoch };
}

/** Workers that still hold a slot of the current attempt. */
export function workersOf(state: ExecutionGraphState): readonly string[] {
  const held = state.slots.filter((slot) => !slot.released);
  return [...new Set(held.map((slot) => slot.workerId))].sort();
}

/** Monotonic time at which a timerElapsed is due, if any. */
export function executionWakeAtMs(state: ExecutionGraphState): number | undefined {
  if (state.phase === 'RELEASING') return state.cancelRepeatAtMs;
  if (state.phase === 'IDLE' && state.status === 'RESTARTING') return state.restartAtMs;
  return undefined;
}

export function stepExecution(state: ExecutionGraphState, event: ExecutionEvent): ExecutionStep {
  if (isTerminalJobStatus(state.status)) {
    return event.kind === 'slotsGranted'
      ? { state, effects: [returnOf(event)] }
      : { state, effects: [] };
  }
  const draft: Draft = { state, effects: [] };
  handle(draft, event);
  return draft;
}

function handle(draft: Draft, event: ExecutionEvent): void {
  const { state } = draft;
  switch (event.kind) {
    case 'submitted':
      return prepare(draft);
    case 'recovered':
      return recover(draft, event.attempt, event.canceling);
    case 'attemptPrepared':
      if (state.phase !== 'PREPARING' || event.attempt !== state.attempt) return;
      setAllTasks(draft, 'SCHEDULED');
      draft.state = { ...draft.state, phase: 'SCHEDULING' };
      draft.effects.push({ kind: 'slotsWanted', attempt: state.attempt });
      return;
    case 'slotsGranted':
      return deploy(draft, event);
    case 'rescaleAttempt':
      return rescale(draft, event.nowMs);
    case 'taskState':
      if (!isCurrent(state, event.attempt)) return;
      return onTaskState(draft, event);
    case 'slotState':
      if (!isCurrent(state, event.attempt)) return;
      return onSlotState(draft, event);
    case 'workerLost':
      return onWorkerLost(draft, event.workerId, event.reason, event);
    case 'attemptFailed':
      if (event.attempt === state.attempt) fail(draft, event.failure, event);
      return;
    case 'cancelRequested':
      return cancel(draft, event.nowMs);
    case 'attemptCommitted':
      if (state.phase !== 'DEPLOYED') return;
      draft.state = { ...state, phase: 'FINISHING' };
      draft.effects.push({
        kind: 'finishAttempt',
        attempt: attemptOf(state),
        workers: workersOf(state),
      });
      return;
    case 'superseded':
      draft.state = { ...state, status: moveJob(state.status, 'SUSPENDED'), phase: 'IDLE' };
      draft.effects.push(
        { kind: 'attemptEnded' },
        { kind: 'jobTerminal', status: draft.state.status },
      );
      return;
    case 'timerElapsed':
      return onTimer(draft, event.nowMs);
    default:
      return assertNever(event);
  }
}

function isCurrent(state: ExecutionGraphState, attempt: Attempt): boolean {
  return attempt.attempt === state.attempt && attempt.epoch === state.epoch;
}

function prepare(draft: Draft): void {
  const { state } = draft;
  if (state.phase !== 'IDLE') return;
  const tasks = tasksOf(state.graph, 'CREATED');
  draft.state = { ...state, tasks, slots: [], attempt: state.attempt + 1, phase: 'PREPARING' };
  draft.effects.push({ kind: 'prepareAttempt', attempt: attemptOf(draft.state) });
}

function recover(draft: Draft, attempt: number, canceling: boolean): void {
  invariant(draft.state.status === 'CREATED', 'only a new graph recovers a job');
  draft.state = {
    ...draft.state,
    attempt,
    status: moveJob(draft.state.status, canceling ? 'CANCELLING' : 'RESTARTING'),
  };
  if (attempt > 0) {
    draft.effects.push({
      kind: 'cancelAttempt',
      attempt: attemptOf(draft.state),
      workers: 'all',
    });
  }
  if (canceling) return settle(draft);
  prepare(draft);
}

type SlotsGranted = Extract<ExecutionEvent, { kind: 'slotsGranted' }>;

function deploy(draft: Draft, event: SlotsGranted): void {
  const { state } = draft;
  const { attempt, slices, graph } = event;
  if (state.phase !== 'SCHEDULING' || attempt !== state.attempt) {
    draft.effects.push(returnOf(event));
    return;
  }
  invariant(slices.length === graph.parallelism, 'as many slots are granted as were requested');
  draft.state = {
    ...state,
    graph,
    tasks: tasksOf(graph, 'DEPLOYING'),
    status: moveJob(state.status, 'RUNNING'),
    phase: 'DEPLOYED',
    slots: slices.map((location, slice) => ({ ...location, slice, released: false })),
  };
  const { defaultParallelism: parallelism } = graph;
  for (let slice = 0; slice < slices.length; slice++) {
    draft.effects.push({
      kind: 'deploySlot',
      attempt: attemptOf(state),
      slice,
      slices,
      parallelism,
    });
  }
}

function returnOf({ attempt, slices }: SlotsGranted): ExecutionEffect {
  return { kind: 'returnSlots', attempt, slices };
}

/** Its restart strategy has no part in it, and there is no delay. */
function rescale(draft: Draft, nowMs: number): void {
  const { state } = draft;
  if (state.phase !== 'DEPLOYED') return;
  draft.state = {
    ...state,
    status: moveJob(state.status, 'RESTARTING'),
    restartAtMs: nowMs,
    rescales: state.rescales + 1,
  };
  endAttempt(draft, nowMs);
}

function onTaskState(draft: Draft, event: Extract<ExecutionEvent, { kind: 'taskState' }>): void {
  const key = taskKey(event.task);
  const execution = draft.state.tasks.get(key);
  if (execution === undefined || !canMoveTask(execution.state, event.state)) return;
  const { phase } = draft.state;
  if (phase === 'IDLE' || phase === 'PREPARING' || phase === 'SCHEDULING') return;
  const wasRunning = everyTask(draft.state, 'RUNNING', 'DRAINED');
  // All output is committed once the attempt is FINISHING: however a task ends then, it is done.
  setTask(draft, key, phase === 'FINISHING' ? 'FINISHED' : event.state);
  if (phase !== 'DEPLOYED') {
    if (event.failure !== undefined) record(draft, event.failure, event);
    return settle(draft);
  }
  switch (event.state) {
    case 'RUNNING':
    case 'DRAINED':
      if (!wasRunning && everyTask(draft.state, 'RUNNING', 'DRAINED')) {
        const tasks = [...draft.state.tasks.values()].map(({ task }) => task);
        draft.effects.push({ kind: 'attemptRunning', attempt: event.attempt, tasks });
      }
      if (everyTask(draft.state, 'DRAINED')) draft.effects.push({ kind: 'attemptDrained' });
      return;
    case 'FINISHED':
    case 'CANCELED':
    case 'FAILED': {
      const what = `task ${key} reported ${event.state} while its job was running`;
      fail(draft, event.failure ?? failureOf('INTERNAL', `${what}; see its worker's log`), event);
      return;
    }
    default:
      return assertNever(event.state);
  }
}

function onSlotState(draft: Draft, event: Extract<ExecutionEvent, { kind: 'slotState' }>): void {
  const slot = draft.state.slots[event.slice];
  if (slot === undefined || slot.released) return;
  if (event.released) release(draft, (candidate) => candidate.slice === event.slice);
  const where = `slot of slice ${event.slice} on worker ${slot.workerId}`;
  const failure =
    event.failure ?? failureOf('INTERNAL', `${where} ended unasked; see its worker's log`);
  if (draft.state.phase === 'DEPLOYED') return fail(draft, failure, event);
  if (event.failure !== undefined) record(draft, event.failure, event);
  settle(draft);
}

function onWorkerLost(draft: Draft, workerId: string, reason: string, stamp: Stamp): void {
  const held = draft.state.slots.filter((slot) => slot.workerId === workerId && !slot.released);
  if (held.length === 0) return;
  release(draft, (slot) => slot.workerId === workerId);
  const failure = failureOf(
    'WORKER_LOST',
    `worker ${workerId} is lost: ${reason}; check its log, the job goes on elsewhere`,
    workerId,
  );
  if (draft.state.phase === 'DEPLOYED') return fail(draft, failure, stamp);
  record(draft, failure, stamp);
  settle(draft);
}

/** Marks slots as free; their tasks have ended, FINISHED if nothing was left to commit. */
function release(draft: Draft, chosen: (slot: SlotExecution) => boolean): void {
  const { state } = draft;
  const slices = new Set(state.slots.filter(chosen).map((slot) => slot.slice));
  const end = state.phase === 'FINISHING' ? 'FINISHED' : 'FAILED';
  for (const [key, { task, state: taskState }] of state.tasks) {
    if (slices.has(task.subtask) && !isTerminalExecutionState(taskState)) setTask(draft, key, end);
  }
  const slots = state.slots.map((slot) => (chosen(slot) ? { ...slot, released: true } : slot));
  draft.state = { ...draft.state, slots };
}

function fail(draft: Draft, failure: SerializedError, stamp: Stamp): void {
  record(draft, failure, stamp);
  const { state } = draft;
  if (state.status === 'FAILING' || state.status === 'CANCELLING') return;
  if (state.phase === 'IDLE' || state.phase === 'RELEASING' || state.phase === 'FINISHING') return;
  const { state: restart, decision } = onFailure(
    state.restart,
    state.restartConfig,
    failure,
    stamp.nowMs,
  );
  if (decision.kind === 'restart') {
    if (state.phase === 'DEPLOYED' && decision.delayMs <= PREPARE_DELAY_MAX_MS) {
      draft.effects.push({ kind: 'prepareSlots', count: state.slots.length });
    }
    draft.state = {
      ...state,
      restart,
      restarts: state.restarts + 1,
      restartAtMs: stamp.nowMs + decision.delayMs,
      status: state.status === 'RESTARTING' ? state.status : moveJob(state.status, 'RESTARTING'),
    };
  } else {
    draft.state = {
      ...state,
      restart,
      status: moveJob(state.status, 'FAILING'),
      terminalFailure: {
        ...failure,
        message: `${failure.message} (not restarted because ${decision.reason})`,
      },
    };
  }
  endAttempt(draft, stamp.nowMs);
}

function cancel(draft: Draft, nowMs: number): void {
  const { state } = draft;
  if (state.status === 'CANCELLING' || state.status === 'FAILING') return;
  if (state.phase === 'FINISHING') return;
  draft.state = { ...state, status: moveJob(state.status, 'CANCELLING') };
  draft.effects.push({ kind: 'recordCancel' });
  endAttempt(draft, nowMs);
}

/** Takes the attempt down from whatever phase it is in. */
function endAttempt(draft: Draft, nowMs: number): void {
  const { phase } = draft.state;
  if (phase === 'SCHEDULING') draft.effects.push({ kind: 'slotsUnwanted' });
  if (phase === 'DEPLOYED') {
    draft.effects.push({ kind: 'attemptEnded' });
    for (const [key, { state }] of draft.state.tasks) {
      if (canMoveTask(state, 'CANCELING')) setTask(draft, key, 'CANCELING');
    }
    draft.state = { ...draft.state, phase: 'RELEASING' };
    sendCancel(draft, nowMs);
  } else if (phase !== 'RELEASING') {
    draft.state = { ...draft.state, phase: 'IDLE' };
  }
  settle(draft);
}

function sendCancel(draft: Draft, nowMs: number): void {
  const workers = workersOf(draft.state);
  draft.state = { ...draft.state, cancelRepeatAtMs: nowMs + CANCEL_REPEAT_MS };
  if (workers.length === 0) return;
  draft.effects.push({ kind: 'cancelAttempt', attempt: attemptOf(draft.state), workers });
}

function onTimer(draft: Draft, nowMs: number): void {
  const { state } = draft;
  if (state.phase === 'RELEASING' && nowMs >= state.cancelRepeatAtMs) sendCancel(draft, nowMs);
  if (state.status === 'RESTARTING' && nowMs >= state.restartAtMs) prepare(draft);
}

/** Moves on when the last slot is released or the last task has finished. */
function settle(draft: Draft): void {
  const { state } = draft;
  if (state.phase === 'FINISHING' && everyTask(state, 'FINISHED')) {
    draft.effects.push({ kind: 'attemptEnded' });
    draft.state = { ...state, phase: 'IDLE' };
    return terminate(draft, 'FINISHED');
  }
  if (state.phase === 'RELEASING' && state.slots.every((slot) => slot.released)) {
    draft.state = { ...state, phase: 'IDLE' };
    draft.effects.push({ kind: 'attemptReleased' });
  }
  if (draft.state.phase !== 'IDLE') return;
  if (state.status === 'CANCELLING') terminate(draft, 'CANCELED');
  if (state.status === 'FAILING') terminate(draft, 'FAILED');
}

function terminate(draft: Draft, to: 'FINISHED' | 'CANCELED' | 'FAILED'): void {
  const status = moveJob(draft.state.status, to);
  const failure = draft.state.terminalFailure;
  draft.state = { ...draft.state, status };
  draft.effects.push({
    kind: 'jobTerminal',
    status,
    ...(failure === undefined ? {} : { failure }),
  });
}

function record(draft: Draft, cause: SerializedError, stamp: Stamp): void {
  const entry = { attempt: draft.state.attempt, atMs: stamp.wallMs, cause };
  const failures = [...draft.state.failures, entry].slice(-FAILURES_MAX);
  draft.state = { ...draft.state, failures };
}

function everyTask(state: ExecutionGraphState, ...wanted: readonly ExecutionState[]): boolean {
  for (const execution of state.tasks.values()) {
    if (!wanted.includes(execution.state)) return false;
  }
  return true;
}

function setTask(draft: Draft, key: string, to: ExecutionState): void {
  const execution = draft.state.tasks.get(key);
  invariant(execution !== undefined, `task ${key} exists`);
  invariant(canMoveTask(execution.state, to), `task ${key} moves from ${execution.state} to ${to}`);
  const tasks = new Map(draft.state.tasks).set(key, { ...execution, state: to });
  draft.state = { ...draft.state, tasks };
}

function setAllTasks(draft: Draft, to: ExecutionState): void {
  for (const key of draft.state.tasks.keys()) setTask(draft, key, to);
}

function failureOf(code: ErrorCode, message: string, worker?: string): SerializedError {
  return {
    code,
    message: `${code}: ${message}`,
    ...(worker === undefined ? {} : { location: { worker } }),
  };
}
