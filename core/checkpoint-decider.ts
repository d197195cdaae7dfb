/**
 * Decides a job's checkpoints (journey of a barrier: trigger => ... => acknowledged -> pending
 * checkpoint -> manifest -> compare-and-set -> notify => sinks commit). A pure step; the job decider
 * feeds it. Invariants: one checkpoint at a time; the manifest only after every acknowledgement; the
 * word "complete" only after the compare-and-set; no file goes before the pointer that names it.
 */
import { assertNever, invariant, type SerializedError } from './errors.js';
import {
  collectAbortedWrite,
  discardAborted,
  discardOf,
  mayName,
  settleReferences,
  sweep,
  sweepAfterCompletion,
  ABORTED_MAX,
} from './checkpoint-cleanup.js';
import {
  blameOfManifest,
  blameOfTimeout,
  timeoutOf,
  type CheckpointBlame,
} from './checkpoint-failure.js';
import { EMPTY_CHECKPOINT_HISTORY, historyEnded, historyTriggered } from './checkpoint-history.js';
import { ignoreReport, notify, onCommitted } from './checkpoint-notification.js';
import type {
  CheckpointDeciderState,
  CheckpointDraft,
  CheckpointEffect,
  CheckpointEvent,
  CompletedCheckpoint,
  KnownCheckpoints,
} from './checkpoint-protocol.js';
import { retainedWith } from './checkpoint-retention.js';
import { isSameAttempt, taskKey, type Attempt, type Stamp } from './execution-state.js';
import {
  acknowledge,
  acknowledgedSize,
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

export interface CheckpointStep {
  readonly state: CheckpointDeciderState;
  readonly effects: readonly CheckpointEffect[];
}

export function createCheckpointDecider(
  jobId: string,
  config: CheckpointConfig,
  { completed, references, allocatedId }: KnownCheckpoints,
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
    references,
    triggeredId: allocatedId,
    sweepDue: completed.length > 0,
    resweepDue: false,
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
  } else if (isTimed(pending)) {
    due.push(pending.requestedAtMs + state.config.timeoutMs);
  }
  if (committing !== undefined) due.push(committing.repeatAtMs);
  return due.length === 0 ? undefined : Math.min(...due);
}

/** Whatever does not end by itself; a compare-and-set is asked for until its outcome is known. */
function isTimed({ state }: PendingCheckpoint): boolean {
  return state === 'ALLOCATING' || state === 'TRIGGERED' || state === 'WRITING';
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
      return sweep(draft);
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
      draft.state = { ...state, aborted: [], sweepDue: true, resweepDue: true };
      return sweep(draft);
    case 'recovered':
      // Tasks of the coordinator before may still be uploading: swept up once new ones run.
      draft.state = { ...state, sweepDue: true, resweepDue: true };
      return;
    case 'jobEnded':
      return refuseSavepoints(draft, 'the job has ended');
    case 'superseded':
      draft.state = { ...state, running: undefined, pending: undefined, committing: undefined };
      return refuseSavepoints(draft, 'another coordinator has taken the job over');
    case 'savepointRequested':
      return requestSavepoint(draft, event.request);
    case 'idAllocated':
      return trigger(draft, event);
    case 'idFailed':
      if (state.pending?.state !== 'ALLOCATING') return;
      if (event.attempt !== state.running?.attempt.attempt) return;
      return abort(draft, event.failure, 'coordinator', event);
    case 'acknowledged':
      return onAcknowledged(draft, event);
    case 'declined':
      if (isReportOfPending(draft, event)) abort(draft, event.failure, 'tasks', event);
      return;
    case 'committed':
      return onCommitted(draft, event);
    case 'manifestWritten':
      if (collectAbortedWrite(draft, event.checkpointId)) return;
      return complete(draft, event.checkpointId, event);
    case 'manifestFailed':
      if (collectAbortedWrite(draft, event.checkpointId)) return;
      if (state.pending?.checkpointId !== event.checkpointId) return;
      return abort(draft, event.failure, blameOfManifest(event.failure), event);
    case 'completed':
      return onCompleted(draft, event.checkpointId, event);
    case 'completionFailed':
      if (state.pending?.state !== 'COMPLETING') return;
      if (state.pending.checkpointId !== event.checkpointId) return;
      abort(draft, event.failure, 'coordinator', event);
      return sweep(draft);
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
  draft.effects.push({
    kind: 'allocateCheckpointId',
    attempt: running.attempt.attempt,
    ...(savepoint === undefined ? {} : { savepointId: savepoint.savepointId }),
  });
}

function trigger(
  draft: CheckpointDraft,
  event: Extract<CheckpointEvent, { kind: 'idAllocated' }>,
): void {
  const { attempt, checkpointId } = event;
  const { pending, running, completed, config, jobId } = draft.state;
  if (pending?.state !== 'ALLOCATING' || running?.attempt.attempt !== attempt) return;
  if (pending.savepoint?.savepointId !== event.savepointId) return;
  const latest = completed.at(-1)?.checkpointId ?? 0;
  invariant(checkpointId > latest, `checkpoint id ${checkpointId} follows ${latest}`);
  const triggered = {
    ...movePending(pending, 'TRIGGERED'),
    checkpointId,
    prefix:
      pending.savepoint === undefined
        ? checkpointPrefix(jobId, checkpointId)
        : savepointPrefix(pending.savepoint.savepointId),
    requestedAtMs: event.nowMs,
  };
  const { history, tasks } = draft.state;
  draft.state = {
    ...draft.state,
    pending: triggered,
    triggeredId: checkpointId,
    nextTriggerAtMs: event.nowMs + config.intervalMs,
    history: historyTriggered(history, triggered, attempt, tasks.length, event),
  };
  draft.effects.push({
    kind: 'triggerCheckpoint',
    attempt: running.attempt,
    checkpointId,
    prefix: triggered.prefix,
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
  const stray = files.find(({ key }) => !mayName(draft.state, pending, key));
  if (stray !== undefined) {
    const message =
      `CHECKPOINT_FAILED: ${taskKey(task)} named ${stray.key} in checkpoint ` +
      `${pending.checkpointId}, which neither was written for it nor belongs to a retained ` +
      "checkpoint of the job; see its worker's log, and report it";
    return abort(draft, { code: 'CHECKPOINT_FAILED', message }, 'tasks', event);
  }
  const next = acknowledge(pending, { task, files, timings });
  draft.state = { ...draft.state, pending: next };
  if (next.acknowledged.size < tasks.length) return;
  const writing = movePending(next, 'WRITING');
  draft.state = { ...draft.state, pending: writing };
  draft.effects.push({
    kind: 'writeManifest',
    attempt: running.attempt,
    checkpointId: writing.checkpointId,
    prefix: writing.prefix,
    ...(writing.savepoint === undefined ? {} : { savepointId: writing.savepoint.savepointId }),
    acknowledged: writing.acknowledged,
  });
}

function complete(draft: CheckpointDraft, checkpointId: number, stamp: Stamp): void {
  const { pending, completed, config } = draft.state;
  if (pending?.state !== 'WRITING' || pending.checkpointId !== checkpointId) return;
  draft.state = { ...draft.state, pending: movePending(pending, 'COMPLETING') };
  draft.effects.push({
    kind: 'completeCheckpoint',
    checkpointId,
    completed: retainedWith(completed, completedOf(pending, stamp), config),
  });
}

function completedOf(pending: PendingCheckpoint, stamp: Stamp): CompletedCheckpoint {
  return {
    checkpointId: pending.checkpointId,
    ...(pending.savepoint === undefined ? {} : { savepointId: pending.savepoint.savepointId }),
    prefix: pending.prefix,
    bytes: acknowledgedSize(pending).bytes,
    completedAtMs: stamp.wallMs,
  };
}

function onCompleted(draft: CheckpointDraft, checkpointId: number, stamp: Stamp): void {
  const { pending, running, tasks, config, history } = draft.state;
  if (pending?.state !== 'COMPLETING' || pending.checkpointId !== checkpointId) return;
  const added = completedOf(pending, stamp);
  settleReferences(draft, pending, retainedWith(draft.state.completed, added, config));
  draft.state = {
    ...draft.state,
    pending: undefined,
    consecutiveFailures: 0,
    nextTriggerAtMs: Math.max(draft.state.nextTriggerAtMs, stamp.nowMs + config.minPauseMs),
    history: historyEnded(history, movePending(pending, 'COMPLETED'), undefined, stamp),
  };
  discardAborted(draft, checkpointId);
  sweepAfterCompletion(draft);
  if (pending.savepoint?.stopAfter === true) {
    draft.state = { ...draft.state, stopping: added };
    if (running === undefined) refuseStop(draft);
  } else answerSavepoint(draft, added);
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
  if (pending === undefined || !isTimed(pending)) return;
  if (stamp.nowMs < pending.requestedAtMs + config.timeoutMs) return;
  abort(draft, timeoutOf(draft.state, pending), blameOfTimeout(pending), stamp);
}

/** Gives the pending checkpoint up because something failed while its attempt goes on. */
function abort(
  draft: CheckpointDraft,
  failure: SerializedError,
  blamed: CheckpointBlame,
  stamp: Stamp,
): void {
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
  if (blamed === 'coordinator') return;
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
  const files = { checkpointId, prefix: pending.prefix };
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
