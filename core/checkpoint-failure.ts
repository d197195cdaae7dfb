/**
 * Why a checkpoint failed, and whose failure it was: only those of tasks count against
 * `tolerableFailures`, since a restart of the tasks mends nothing that is the coordinator's. Pure.
 */
import type { CheckpointDeciderState } from './checkpoint-protocol.js';
import type { SerializedError } from './errors.js';
import { taskKey } from './execution-state.js';
import type { PendingCheckpoint } from './pending-checkpoint.js';

/** `coordinator`: it could take no id, or not write the manifest, or not set the pointer. */
export type CheckpointBlame = 'tasks' | 'coordinator';

const TASKS_SHOWN_MAX = 5;

/** A manifest that can't be written because of what a task acknowledged is that task's failure. */
export function blameOfManifest({ code }: SerializedError): CheckpointBlame {
  return code === 'CHECKPOINT_FAILED' ? 'tasks' : 'coordinator';
}

export function blameOfTimeout({ state }: PendingCheckpoint): CheckpointBlame {
  return state === 'TRIGGERED' ? 'tasks' : 'coordinator';
}

export function timeoutOf(
  { tasks, config: { timeoutMs } }: CheckpointDeciderState,
  { state, checkpointId, acknowledged }: PendingCheckpoint,
): SerializedError {
  const code = 'CHECKPOINT_TIMEOUT';
  if (state === 'ALLOCATING') {
    const what = `the meta store gave no checkpoint id within ${timeoutMs} ms`;
    return { code, message: `${code}: ${what}; see that it answers, the job goes on meanwhile` };
  }
  if (state === 'WRITING') {
    const what = `all tasks acknowledged checkpoint ${checkpointId}, but its manifest was not written`;
    const remedy = 'see that the checkpoint storage answers, the job goes on meanwhile';
    return { code, message: `${code}: ${what} within ${timeoutMs} ms; ${remedy}` };
  }
  const missing = tasks.map(taskKey).filter((key) => !acknowledged.has(key));
  const more = missing.length - TASKS_SHOWN_MAX;
  const message =
    `${code}: checkpoint ${checkpointId} was not acknowledged within ${timeoutMs} ms by ` +
    `${missing.slice(0, TASKS_SHOWN_MAX).join(', ')}${more > 0 ? ` and ${more} more` : ''}; ` +
    'look for back pressure there, or raise checkpoint.timeoutMs';
  return { code, message };
}
