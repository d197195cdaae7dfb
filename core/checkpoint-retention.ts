/**
 * Which completed checkpoints a job keeps, and until when: as the pointer in the meta store names
 * them while the job runs, and after it has ended. Pure. A savepoint is its user's: only one that a
 * job has claimed is ever the job's to keep or to drop.
 */
import type { CompletedCheckpoint } from './checkpoint-protocol.js';
import type { JobStatus } from './execution-state.js';
import type { CheckpointConfig } from './stream-graph.js';

/** Whether the job may refer to its files in later checkpoints, and has to delete them. */
export function isOwned({ savepointId, claimed }: CompletedCheckpoint): boolean {
  return savepointId === undefined || claimed === true;
}

/**
 * What the pointer names once `added` is complete: the last N checkpoints, and a savepoint only
 * while it is the latest. (A savepoint is restored from like a checkpoint, since sinks commit on it.)
 */
export function retainedWith(
  completed: readonly CompletedCheckpoint[],
  added: CompletedCheckpoint,
  config: CheckpointConfig,
): readonly CompletedCheckpoint[] {
  const owned = completed.filter(isOwned);
  if (!isOwned(added)) return [...owned, added];
  return [...owned, added].slice(-config.retained);
}

/**
 * What becomes of a job's checkpoints when it ends: those of a job that has done its work go, and
 * those that somebody may want to start from again stay until the job is forgotten.
 * @see Flink's externalized checkpoint retention
 */
export function retentionAtEnd(status: JobStatus, config: CheckpointConfig): 'retain' | 'delete' {
  if (status === 'FINISHED') return 'delete';
  return status === 'CANCELED' ? (config.onCancel ?? 'retain') : 'retain';
}
