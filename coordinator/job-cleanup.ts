/**
 * What becomes of a job's files after its end: at once, what nothing names goes, and its checkpoints,
 * too, if they are not to be retained; much later, when the job is forgotten, all the rest. Savepoints
 * stay, they are the user's. Each step can be interrupted and done again by the next coordinator: the
 * record that tells of it goes last.
 */
import { isOwned } from '../core/checkpoint-retention.js';
import { checkpointCounterKey } from './checkpoint-id-counter.js';
import { jobPrefix, type OwnedPrefixes } from './checkpoint-collector.js';
import { CompletedCheckpointStore } from './completed-checkpoint-store.js';
import type { JobRecord } from './job-record.js';
import type { JobServices } from './job-services.js';

/** Everywhere that files of a job's checkpoints lie. */
export function prefixesOf({ jobId, claimed }: OwnedPrefixes): readonly string[] {
  return [jobPrefix(jobId), ...claimed];
}

/**
 * Does what the record of an ended job says is still to be done.
 * @throws MillraceError CHECKPOINT_CORRUPT when a retained manifest can't be read, so that what it
 *   names isn't known; STALE_EPOCH, STORAGE_UNAVAILABLE, STORAGE_CONFLICT
 */
export async function cleanUpEnded(services: JobServices, record: JobRecord): Promise<void> {
  const { meta, leader, writer, collector } = services;
  const completed = await CompletedCheckpointStore.open(meta, leader, record.jobId);
  if (completed.claimedBy !== undefined || record.cleanup === null) return;
  const keep = new Set<string>();
  const owned = completed.checkpoints.filter(isOwned);
  if (record.cleanup === 'delete') await completed.clear();
  // No restart needs a savepoint any more; its user may dispose of it.
  else if (owned.length < completed.checkpoints.length) await completed.set(owned, undefined);
  for (const { manifest } of completed.checkpoints) {
    for (const key of await writer.references(manifest)) keep.add(key);
  }
  await collector.collectOrphans(record, keep);
}

/**
 * Deletes everything that is known of an ended job.
 * @throws MillraceError STALE_EPOCH, STORAGE_UNAVAILABLE, STORAGE_CONFLICT
 */
export async function forgetJob(services: JobServices, record: JobRecord): Promise<void> {
  const { meta, leader, collector, jobs } = services;
  const { jobId } = record;
  const completed = await CompletedCheckpointStore.open(meta, leader, jobId);
  const { claimedBy } = completed;
  await completed.clear();
  // What was claimed is another job's to delete, but for savepoints that never came to be.
  if (claimedBy === undefined) await collector.collectOrphans(record, []);
  else await collector.collectPendingSavepoints((pending) => pending.jobId === jobId);
  await leader.txn({
    guards: [],
    writes: [{ type: 'delete', key: checkpointCounterKey(jobId) }],
  });
  await jobs.delete(jobId);
}
