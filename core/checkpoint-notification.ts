/**
 * The last part of a checkpoint within the checkpoint decider: tasks are told that it is complete,
 * again and again, until each has said that its sinks have committed it, or the attempt ends.
 */
import type { CheckpointDraft, CheckpointEvent } from './checkpoint-protocol.js';
import { isSameAttempt, taskKey, type Stamp } from './execution-state.js';
import { answerSavepoint } from './savepoint-requests.js';

/** A notification that was not answered is repeated this often. */
export const NOTIFY_REPEAT_MS = 1_000;

export function ignoreReport(draft: CheckpointDraft): void {
  const { history } = draft.state;
  draft.state = {
    ...draft.state,
    history: { ...history, ignoredReports: history.ignoredReports + 1 },
  };
}

export function notify(draft: CheckpointDraft, stamp: Stamp): void {
  const { committing, running } = draft.state;
  if (committing === undefined || running === undefined) return;
  draft.state = {
    ...draft.state,
    committing: { ...committing, repeatAtMs: stamp.nowMs + NOTIFY_REPEAT_MS },
  };
  draft.effects.push({
    kind: 'notifyComplete',
    attempt: running.attempt,
    checkpointId: committing.checkpointId,
    tasks: [...committing.waiting.values()],
  });
}

export function onCommitted(
  draft: CheckpointDraft,
  event: Extract<CheckpointEvent, { kind: 'committed' }>,
): void {
  const { running, committing, lastCheckpointId } = draft.state;
  if (
    running === undefined ||
    committing?.checkpointId !== event.checkpointId ||
    !isSameAttempt(running.attempt, event.attempt)
  ) {
    return ignoreReport(draft);
  }
  const waiting = new Map(committing.waiting);
  waiting.delete(taskKey(event.task));
  if (waiting.size > 0) {
    draft.state = { ...draft.state, committing: { ...committing, waiting } };
    return;
  }
  draft.state = { ...draft.state, committing: undefined };
  if (lastCheckpointId !== event.checkpointId) return;
  answerSavepoint(draft, draft.state.stopping);
  draft.state = { ...draft.state, stopping: undefined };
  draft.effects.push({ kind: 'attemptCommitted' });
}
