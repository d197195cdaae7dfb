/**
 * Decides a job's checkpoints (journey of a barrier: trigger => ... => acknowledged -> pending
 * checkpoint -> manifest -> compare-and-set -> notify => sinks commit). A pure step; the job decider
 * feeds it. Invariants: one checkpoint at a time; the manifest only after every acknowledgement; the
 * word "complete" only after the compare-and-set; no file goes before the pointer that names it.
 */
import { assertNever, invariant, type SerializedError } from './errors.js';
import { EMPTY_CHECKPOINT_HISTORY, historyEnded, historyTriggered } from './checkpoint-history.js';
import { ignoreReport, notify, onCommitted } from './checkpoint-notification.js';
import type {
  AbortedCheckpoint,
  CheckpointDeciderState,
  CheckpointDraft,
  CheckpointEffect,
  CheckpointEvent,
  CompletedCheckpoint,
} from './checkpoint-protocol.js';
import { isSameAttempt, taskKey, type Attempt, type Stamp } from './execution-state.js';
import {
  acknowledge,
  acknowledgedBytes,
  alignmentTimeoutOf,
  createPending,
  movePending,
  type PendingCheckpoint,
} from './pending-checkpoint.js';
import {
  answerSavepoint,
  refuseSavepoints,
  refuseStop,
  requestSavepoint,
  requeueSavepoint,
  savepointPrefix,
} from './savepoint-requests.js';
import type { CheckpointConfig } from './stream-graph.js';

/** Pause after a failed checkpoint, if the job's minPauseMs is shorter. */
export const FAILED_PAUSE_MS = 200;
/** Aborted checkpoints of one attempt whose files are discarded once more at its end. */
export const ABORTED_MAX = 1_000;

export interface CheckpointStep {
  readonly state: CheckpointDeciderState;
  readonly effects: readonly CheckpointEffect[];
}

/** @param completed what the job's pointer names, oldest first */
export function createCheckpointDecider(
  jobId: string,
  config: CheckpointConfig,
  completed: readonly CompletedCheckpoint[],
): CheckpointDeciderState {
  return {
    jobId,
    config,
    tasks: [],
    running: undefined,
    nextTriggerAtMs: 0,
    finalAtMs: 0,
    pending: undefined,
    savepoints: [],
    completed,
    committing: undefined,
    lastCheckpointId: undefined,
    stopping: undefined,
    consecutiveFailures: 0,
    abortedWrites: [],
    aborted: [],
    history: EMPTY_CHECKPOINT_HISTORY,
  };
}

export function checkpointPrefix(jobId: string, checkpointId: number): string {
  return `jobs/${jobId}/chk-${checkpointId}/`;
}

/** What a restart restores from. */
export function latestCompleted(state: CheckpointDeciderState): CompletedCheckpoint | undefined {
  return state.completed.at(-1);
}

/** False while a compare-and-set is under way, so that the latest completed checkpoint is unknown. */
export function isSettled(state: CheckpointDeciderState): boolean {
  return state.pending?.state !== 'COMPLETING';
}

/** Monotonic time at which a timerElapsed is due, if any. */
export function checkpointWakeAtMs(state: CheckpointDeciderState): number | undefined {
  if (state.running === undefined) return undefined;
  const { pending, committing } = state;
  const due: number[] = [];
  if (pending === undefined) {
    if (state.lastCheckpointId === undefined) {
      due.push(state.running.drained ? state.finalAtMs : state.nextTriggerAtMs);
    }
  } else if (pending.state === 'TRIGGERED') {
    due.push(pending.requestedAtMs + state.config.timeoutMs);
  }
  if (committing !== undefined) due.push(committing.repeatAtMs);
  return due.length === 0 ? undefined : Math.min(...due);
}

export function stepCheckpoint(
  state: CheckpointDeciderState,
  event: CheckpointEvent,
): CheckpointStep {
  const draft: CheckpointDraft = { state, effects: [] };
  handle(draft, event);
  startNext(draft, event);
  return draft;
}

function handle(draft: CheckpointDraft, event: CheckpointEvent): void {
  const { state } = draft;
  switch (event.kind) {
    case 'attemptRunning':
      draft.state = {
        ...state,
        tasks: event.tasks,
        running: { attempt: event.attempt, drained: false },
        nextTriggerAtMs: event.nowMs + state.config.intervalMs,
        finalAtMs: event.nowMs,
        consecutiveFailures: 0,
      };
      return;
    case 'checkpointWanted':
      draft.state = { ...state, nextTriggerAtMs: event.nowMs };
      return;
    case 'attemptDrained':
      if (state.running === undefined) return;
      draft.state = { ...state, running: { ...state.running, drained: true } };
      return;
    case 'attemptEnded':
      return endAttempt(draft, event);
    case 'attemptReleased':
      for (const aborted of state.aborted) {
        if (!state.abortedWrites.includes(aborted)) draft.effects.push(discardOf(aborted));
      }
      draft.state = { ...state, aborted: [] };
      return;
    case 'recovered':
      draft.effects.push({
        kind: 'collectOrphans',
        keep: state.completed.map(({ checkpointId }) => checkpointId),
      });
      return;
    case 'jobEnded':
      return refuseSavepoints(draft, 'the job has ended');
    case 'superseded':
      draft.state = { ...state, running: undefined, pending: undefined, committing: undefined };
      return refuseSavepoints(draft, 'another coordinator has taken the job over');
    case 'savepointRequested':
      return requestSavepoint(draft, event.request);
    case 'idAllocated':
      return trigger(draft, event.attempt, event.checkpointId, event);
    case 'idFailed':
      if (state.pending?.state !== 'ALLOCATING') return;
      if (event.attempt === state.running?.attempt.attempt) abort(draft, event.failure, event);
      return;
    case 'acknowledged':
      return onAcknowledged(draft, event);
    case 'declined':
      if (isReportOfPending(draft, event)) abort(draft, event.failure, event);
      return;
    case 'committed':
      return onCommitted(draft, event);
    case 'manifestWritten':
      if (collectAbortedWrite(draft, event.checkpointId)) return;
      return complete(draft, event.checkpointId, event);
    case 'manifestFailed':
      if (collectAbortedWrite(draft, event.checkpointId)) return;
      if (state.pending?.checkpointId === event.checkpointId) abort(draft, event.failure, event);
      return;
    case 'completed':
      return onCompleted(draft, event.checkpointId, event);
    case 'completionFailed':
      if (state.pending?.state !== 'COMPLETING') return;
      if (state.pending.checkpointId === event.checkpointId) abort(draft, event.failure, event);
      return;
    case 'timerElapsed':
      return onTimer(draft, event);
    default:
      return assertNever(event);
  }
}

/** Starts what is due, if nothing is under way. */
function startNext(draft: CheckpointDraft, stamp: Stamp): void {
  const { state } = draft;
  const { running } = state;
  if (running === undefined || state.pending !== undefined) return;
  if (state.lastCheckpointId !== undefined) return;
  const [savepoint, ...savepoints] = state.savepoints;
  const final = running.drained;
  const due = final ? state.finalAtMs : state.nextTriggerAtMs;
  if (savepoint === undefined && stamp.nowMs < due) return;
  draft.state = { ...state, savepoints, pending: createPending(stamp, final, savepoint) };
  draft.effects.push({ kind: 'allocateCheckpointId', attempt: running.attempt.attempt });
}

function trigger(
  draft: CheckpointDraft,
  attempt: number,
  checkpointId: number,
  stamp: Stamp,
): void {
  const { pending, running, completed, config } = draft.state;
  if (pending?.state !== 'ALLOCATING' || running?.attempt.attempt !== attempt) return;
  const latest = completed.at(-1)?.checkpointId ?? 0;
  invariant(checkpointId > latest, `checkpoint id ${checkpointId} follows ${latest}`);
  const triggered = {
    ...movePending(pending, 'TRIGGERED'),
    checkpointId,
    requestedAtMs: stamp.nowMs,
  };
  draft.state = {
    ...draft.state,
    pending: triggered,
    nextTriggerAtMs: stamp.nowMs + config.intervalMs,
    history: historyTriggered(
      draft.state.history,
      triggered,
      attempt,
      draft.state.tasks.length,
      stamp,
    ),
  };
  draft.effects.push({
    kind: 'triggerCheckpoint',
    attempt: running.attempt,
    checkpointId,
    prefix: prefixOf(draft.state, triggered),
    stopAfter: pending.savepoint?.stopAfter === true,
    alignmentTimeoutMs: alignmentTimeoutOf(pending, config),
  });
}

/** Whether a task's report is about the checkpoint that is under way; others are counted. */
function isReportOfPending(
  draft: CheckpointDraft,
  report: { readonly attempt: Attempt; readonly checkpointId: number },
): boolean {
  const { running, pending } = draft.state;
  const wanted =
    running !== undefined &&
    pending?.state === 'TRIGGERED' &&
    isSameAttempt(running.attempt, report.attempt) &&
    pending.checkpointId === report.checkpointId;
  if (!wanted) ignoreReport(draft);
  return wanted;
}

function onAcknowledged(
  draft: CheckpointDraft,
  event: Extract<CheckpointEvent, { kind: 'acknowledged' }>,
): void {
  if (!isReportOfPending(draft, event)) return;
  const { pending, running, tasks } = draft.state;
  invariant(pending !== undefined && running !== undefined, 'a pending checkpoint was reported on');
  if (!tasks.some((task) => taskKey(task) === taskKey(event.task))) return ignoreReport(draft);
  const { task, files, timings } = event;
  const next = acknowledge(pending, { task, files, timings });
  draft.state = { ...draft.state, pending: next };
  if (next.acknowledged.size < tasks.length) return;
  const writing = movePending(next, 'WRITING');
  draft.state = { ...draft.state, pending: writing };
  draft.effects.push({
    kind: 'writeManifest',
    attempt: running.attempt,
    checkpointId: writing.checkpointId,
    prefix: prefixOf(draft.state, writing),
    ...(writing.savepoint === undefined ? {} : { savepointId: writing.savepoint.savepointId }),
    acknowledged: writing.acknowledged,
  });
}

function complete(draft: CheckpointDraft, checkpointId: number, stamp: Stamp): void {
  const { pending } = draft.state;
  if (pending?.state !== 'WRITING' || pending.checkpointId !== checkpointId) return;
  draft.state = { ...draft.state, pending: movePending(pending, 'COMPLETING') };
  draft.effects.push({
    kind: 'completeCheckpoint',
    checkpointId,
    completed: retainedWith(draft.state, pending, stamp),
  });
}

/**
 * What the pointer names once `pending` is complete: the last N checkpoints, and a savepoint only
 * while it is the latest. (A savepoint is restored from like a checkpoint, since sinks commit on it.)
 */
function retainedWith(
  state: CheckpointDeciderState,
  pending: PendingCheckpoint,
  stamp: Stamp,
): readonly CompletedCheckpoint[] {
  const added: CompletedCheckpoint = {
    checkpointId: pending.checkpointId,
    ...(pending.savepoint === undefined ? {} : { savepointId: pending.savepoint.savepointId }),
    prefix: prefixOf(state, pending),
    bytes: acknowledgedBytes(pending),
    completedAtMs: stamp.wallMs,
  };
  const checkpoints = state.completed.filter(({ savepointId }) => savepointId === undefined);
  if (added.savepointId !== undefined) return [...checkpoints, added];
  return [...checkpoints, added].slice(-state.config.retained);
}

function onCompleted(draft: CheckpointDraft, checkpointId: number, stamp: Stamp): void {
  const { pending, running, tasks, config } = draft.state;
  if (pending?.state !== 'COMPLETING' || pending.checkpointId !== checkpointId) return;
  const completed = retainedWith(draft.state, pending, stamp);
  const kept = new Set(completed.map((checkpoint) => checkpoint.checkpointId));
  const subsumed = draft.state.completed.filter((checkpoint) => !kept.has(checkpoint.checkpointId));
  draft.state = {
    ...draft.state,
    pending: undefined,
    completed,
    consecutiveFailures: 0,
    nextTriggerAtMs: Math.max(draft.state.nextTriggerAtMs, stamp.nowMs + config.minPauseMs),
    history: historyEnded(draft.state.history, movePending(pending, 'COMPLETED'), undefined, stamp),
  };
  for (const checkpoint of subsumed) {
    if (checkpoint.savepointId === undefined) draft.effects.push(discardOf(checkpoint));
  }
  if (pending.savepoint?.stopAfter === true) {
    draft.state = { ...draft.state, stopping: completed.at(-1) };
    if (running === undefined) refuseStop(draft);
  } else if (pending.savepoint !== undefined) answerSavepoint(draft, completed.at(-1));
  if (running === undefined) return;
  const last = pending.final || pending.savepoint?.stopAfter === true;
  const waiting = new Map(tasks.map((task) => [taskKey(task), task]));
  draft.state = {
    ...draft.state,
    committing: { checkpointId, waiting, repeatAtMs: 0 },
    ...(last ? { lastCheckpointId: checkpointId } : {}),
  };
  if (last) refuseSavepoints(draft, 'the job has ended with another checkpoint');
  notify(draft, stamp);
}

function onTimer(draft: CheckpointDraft, stamp: Stamp): void {
  const { pending, committing, config } = draft.state;
  if (committing !== undefined && stamp.nowMs >= committing.repeatAtMs) notify(draft, stamp);
  if (pending?.state !== 'TRIGGERED') return;
  if (stamp.nowMs < pending.requestedAtMs + config.timeoutMs) return;
  const missing = draft.state.tasks.map(taskKey).filter((key) => !pending.acknowledged.has(key));
  const message =
    `CHECKPOINT_TIMEOUT: checkpoint ${pending.checkpointId} was not acknowledged within ` +
    `${config.timeoutMs} ms by ${missing.slice(0, 5).join(', ')}` +
    `${missing.length > 5 ? ` and ${missing.length - 5} more` : ''}; ` +
    'look for back pressure there, or raise checkpoint.timeoutMs';
  abort(draft, { code: 'CHECKPOINT_TIMEOUT', message }, stamp);
}

/** Gives the pending checkpoint up because something failed while its attempt goes on. */
function abort(draft: CheckpointDraft, failure: SerializedError, stamp: Stamp): void {
  const { pending, running, config } = draft.state;
  if (pending === undefined) return;
  dropPending(draft, failure, stamp);
  const againAtMs = stamp.nowMs + Math.max(config.minPauseMs, FAILED_PAUSE_MS);
  draft.state = {
    ...draft.state,
    nextTriggerAtMs: Math.max(draft.state.nextTriggerAtMs, againAtMs),
    finalAtMs: againAtMs,
  };
  if (running === undefined) return;
  if (pending.savepoint !== undefined) {
    // Its sources have stopped at the barrier; only a restart sets them going again.
    if (pending.savepoint.stopAfter && pending.checkpointId > 0) {
      draft.effects.push({ kind: 'failAttempt', failure });
    }
    return;
  }
  const consecutiveFailures = draft.state.consecutiveFailures + 1;
  draft.state = { ...draft.state, consecutiveFailures };
  if (consecutiveFailures > config.tolerableFailures) {
    draft.effects.push({ kind: 'failAttempt', failure });
  }
}

/** Takes the pending checkpoint out of the way: its files, its caller, its place in the history, its tasks. */
function dropPending(draft: CheckpointDraft, failure: SerializedError, stamp: Stamp): void {
  const { pending, running } = draft.state;
  if (pending === undefined) return;
  const aborted = movePending(pending, 'ABORTED');
  const { checkpointId, savepoint } = pending;
  draft.state = { ...draft.state, pending: undefined };
  if (savepoint !== undefined) {
    draft.effects.push({ kind: 'savepointFailed', savepointId: savepoint.savepointId, failure });
  }
  if (checkpointId === 0) return;
  const files = { checkpointId, prefix: prefixOf(draft.state, pending) };
  draft.state = {
    ...draft.state,
    history: historyEnded(draft.state.history, aborted, failure.message, stamp),
    aborted: [...draft.state.aborted, files].slice(-ABORTED_MAX),
  };
  if (pending.state === 'WRITING') {
    draft.state = { ...draft.state, abortedWrites: [...draft.state.abortedWrites, files] };
  } else draft.effects.push(discardOf(files));
  if (running === undefined) return;
  draft.effects.push({ kind: 'notifyAborted', attempt: running.attempt, checkpointId });
}

function endAttempt(draft: CheckpointDraft, stamp: Stamp): void {
  requeueSavepoint(draft);
  // A compare-and-set that is under way decides for itself whether the checkpoint counts.
  if (isSettled(draft.state)) {
    const message =
      'CHECKPOINT_FAILED: its attempt has ended; the checkpoint is taken again when the job runs';
    dropPending(draft, { code: 'CHECKPOINT_FAILED', message }, stamp);
  }
  refuseStop(draft);
  draft.state = {
    ...draft.state,
    running: undefined,
    committing: undefined,
    lastCheckpointId: undefined,
  };
}

/** The manifest of an aborted checkpoint has been written, or not: now its files can go. */
function collectAbortedWrite(draft: CheckpointDraft, checkpointId: number): boolean {
  const files = draft.state.abortedWrites.find((aborted) => aborted.checkpointId === checkpointId);
  if (files === undefined) return false;
  draft.state = {
    ...draft.state,
    abortedWrites: draft.state.abortedWrites.filter((aborted) => aborted !== files),
  };
  draft.effects.push(discardOf(files));
  return true;
}

function discardOf({ checkpointId, prefix }: AbortedCheckpoint): CheckpointEffect {
  return { kind: 'discardCheckpoint', checkpointId, prefix };
}

function prefixOf(state: CheckpointDeciderState, pending: PendingCheckpoint): string {
  return pending.savepoint === undefined
    ? checkpointPrefix(state.jobId, pending.checkpointId)
    : savepointPrefix(pending.savepoint.savepointId);
}
