/**
 * Which files go, and when, within the checkpoint decider: those of checkpoints that are no longer
 * retained, of checkpoints that were aborted, and whatever earlier attempts and coordinators left.
 * Nothing is asked to go before the pointer that drops it is durable, nor while the manifest of a
 * retained checkpoint could not be read: it might name it.
 */
import type {
  AbortedCheckpoint,
  CheckpointDraft,
  CheckpointEffect,
  CompletedCheckpoint,
} from './checkpoint-protocol.js';
import { isOwned } from './checkpoint-retention.js';
import { discardedFiles, isNamed, keysOf, namedFiles } from './file-references.js';
import { MANIFEST_NAME } from './checkpoint-manifest.js';
import type { PendingCheckpoint } from './pending-checkpoint.js';
import type { CheckpointDeciderState } from './checkpoint-protocol.js';

/** Aborted checkpoints that wait for their files to be discarded once more; a sweep gets the rest. */
export const ABORTED_MAX = 1_000;

/** False while some retained checkpoint's files are not known. */
function isCounted({ completed, references }: CheckpointDeciderState): boolean {
  return completed.every((one) => !isOwned(one) || references.has(one.checkpointId));
}

/**
 * Whether a task may name this file in its part of `pending`: one that it wrote for it, or one of a
 * checkpoint that this job owns and retains. A savepoint is self-contained.
 */
export function mayName(
  { references }: CheckpointDeciderState,
  { prefix, savepoint }: PendingCheckpoint,
  key: string,
): boolean {
  return key.startsWith(prefix) || (savepoint === undefined && isNamed(references, key));
}

/** The pointer is durable: counts the new checkpoint's references, and lets go of what it dropped. */
export function settleReferences(
  draft: CheckpointDraft,
  pending: PendingCheckpoint,
  completed: readonly CompletedCheckpoint[],
): void {
  const dropped = draft.state.completed.filter(
    (one) =>
      isOwned(one) && !completed.some(({ checkpointId }) => checkpointId === one.checkpointId),
  );
  const { references: before } = draft.state;
  const references = new Map(before);
  for (const { checkpointId } of dropped) references.delete(checkpointId);
  if (pending.savepoint === undefined) {
    const keys = keysOf(pending.acknowledged.values());
    references.set(pending.checkpointId, keys.add(pending.prefix + MANIFEST_NAME));
  }
  draft.state = { ...draft.state, completed, references };
  const counted = isCounted(draft.state);
  for (const { checkpointId, prefix } of dropped) {
    const named = before.get(checkpointId);
    if (!counted || named === undefined) draft.state = { ...draft.state, sweepDue: true };
    else {
      const files = discardedFiles(prefix, named, references);
      draft.effects.push({ kind: 'discardCheckpoint', checkpointId, prefix, ...files });
    }
  }
}

/**
 * Tasks may still have been uploading when an aborted checkpoint was discarded first. Whoever has
 * acknowledged a later one writes nothing more for it.
 */
export function discardAborted(draft: CheckpointDraft, before: number): void {
  const { aborted, abortedWrites } = draft.state;
  const quiet = aborted.filter((one) => one.checkpointId < before && !abortedWrites.includes(one));
  if (quiet.length === 0) return;
  draft.effects.push(...quiet.map(discardOf));
  draft.state = { ...draft.state, aborted: aborted.filter((one) => !quiet.includes(one)) };
}

/** Nobody ever named a file of an aborted checkpoint, so everything of it goes. */
export function discardOf({ checkpointId, prefix }: AbortedCheckpoint): CheckpointEffect {
  return { kind: 'discardCheckpoint', checkpointId, prefix, files: [], keep: [] };
}

/** Everything that no retained manifest names goes, if that is due and what they name is known. */
export function sweep(draft: CheckpointDraft): void {
  const { state } = draft;
  if (!state.sweepDue || state.pending !== undefined || !isCounted(state)) return;
  draft.effects.push({
    kind: 'collectOrphans',
    upTo: state.triggeredId,
    keep: namedFiles(state.references),
  });
  draft.state = { ...state, sweepDue: false };
}

/** By now, whoever was lost with the attempt before has noticed and writes no more. */
export function sweepAfterCompletion(draft: CheckpointDraft): void {
  const { resweepDue, running, sweepDue } = draft.state;
  if (resweepDue && running !== undefined) {
    draft.state = { ...draft.state, resweepDue: false, sweepDue: true };
  } else if (!sweepDue) return;
  sweep(draft);
}

/** The manifest of an aborted checkpoint has been written, or not: now its files can go. */
export function collectAbortedWrite(draft: CheckpointDraft, checkpointId: number): boolean {
  const files = draft.state.abortedWrites.find((aborted) => aborted.checkpointId === checkpointId);
  if (files === undefined) return false;
  draft.state = {
    ...draft.state,
    abortedWrites: draft.state.abortedWrites.filter((aborted) => aborted !== files),
  };
  draft.effects.push(discardOf(files));
  return true;
}
