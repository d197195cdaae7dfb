/**
 * Savepoint requests within the checkpoint decider: they wait for their turn, and every caller is
 * answered once, whatever becomes of the job.
 */
import type { CheckpointDraft, CompletedCheckpoint } from './checkpoint-protocol.js';
import type { SavepointRequest } from './pending-checkpoint.js';

/** Savepoint requests that may wait for their turn. */
export const SAVEPOINT_REQUESTS_MAX = 16;

const SAVEPOINTS = 'savepoints/';

export function savepointPrefix(savepointId: string): string {
  return `${SAVEPOINTS}${savepointId}/`;
}

/** Whether files under this prefix are those of a savepoint, which shares none. */
export function isSavepointPrefix(prefix: string): boolean {
  return prefix.startsWith(SAVEPOINTS);
}

export function answerSavepoint(
  draft: CheckpointDraft,
  completed: CompletedCheckpoint | undefined,
): void {
  if (completed?.savepointId === undefined) return;
  const { savepointId, checkpointId, prefix } = completed;
  draft.effects.push({ kind: 'savepointCompleted', savepointId, checkpointId, prefix });
}

/** A stop-with-savepoint whose savepoint is complete, but whose attempt ended before it committed. */
export function refuseStop(draft: CheckpointDraft): void {
  const { stopping } = draft.state;
  if (stopping?.savepointId === undefined) return;
  const { savepointId } = stopping;
  const message =
    `CHECKPOINT_FAILED: savepoint ${savepointId} is complete, but the job failed before it had ` +
    'stopped and goes on from it; ask for the stop again';
  const failure = { code: 'CHECKPOINT_FAILED', message } as const;
  draft.effects.push({ kind: 'savepointFailed', savepointId, failure });
  draft.state = { ...draft.state, stopping: undefined };
}

export function requestSavepoint(draft: CheckpointDraft, request: SavepointRequest): void {
  const { savepoints, pending, lastCheckpointId } = draft.state;
  const known = [...savepoints, ...(pending?.savepoint === undefined ? [] : [pending.savepoint])];
  if (known.some(({ savepointId }) => savepointId === request.savepointId)) return;
  if (lastCheckpointId !== undefined || savepoints.length >= SAVEPOINT_REQUESTS_MAX) {
    const reason =
      lastCheckpointId === undefined
        ? `${SAVEPOINT_REQUESTS_MAX} savepoints are waiting already; try again later`
        : 'the job is ending; restore from its last checkpoint instead';
    return refuseSavepoint(draft, request, reason);
  }
  draft.state = { ...draft.state, savepoints: [...savepoints, request] };
}

/** The attempt ends: a savepoint that has not begun waits for its turn in the next one. */
export function requeueSavepoint(draft: CheckpointDraft): void {
  const { pending, savepoints } = draft.state;
  if (pending?.state !== 'ALLOCATING' || pending.savepoint === undefined) return;
  draft.state = {
    ...draft.state,
    savepoints: [pending.savepoint, ...savepoints],
    pending: undefined,
  };
}

export function refuseSavepoints(draft: CheckpointDraft, reason: string): void {
  for (const request of draft.state.savepoints) {
    refuseSavepoint(draft, request, `${reason}; restore from its last checkpoint instead`);
  }
  draft.state = { ...draft.state, savepoints: [] };
}

function refuseSavepoint(draft: CheckpointDraft, request: SavepointRequest, reason: string): void {
  const { savepointId } = request;
  const message = `JOB_STATE_CONFLICT: savepoint ${savepointId} can't be taken: ${reason}`;
  const failure = { code: 'JOB_STATE_CONFLICT', message } as const;
  draft.effects.push({ kind: 'savepointFailed', savepointId, failure });
}
