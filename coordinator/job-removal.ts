/**
 * The end of a job that ended long ago: its record, its pointers and the files that only it refers
 * to go. Savepoints stay, they are the user's. The record goes last, so that what was interrupted is
 * done again by the next coordinator.
 */
import { checkpointCounterKey } from './checkpoint-id-counter.js';
import { completedKey } from './completed-checkpoint-store.js';
import type { JobServices } from './job-services.js';
import { listSavepoints } from './savepoint-record.js';

/** @throws MillraceError STALE_EPOCH, STORAGE_UNAVAILABLE, STORAGE_CONFLICT */
export async function forgetJob(services: JobServices, jobId: string): Promise<void> {
  const { meta, leader, writer, jobs } = services;
  const savepoints = (await listSavepoints(meta)).filter((savepoint) => savepoint.jobId === jobId);
  const pointers = [completedKey(jobId), checkpointCounterKey(jobId)];
  await leader.txn({
    guards: [],
    writes: pointers.map((key) => ({ type: 'delete' as const, key })),
  });
  await writer.collectOrphans(jobId, new Set(savepoints.map(({ checkpointId }) => checkpointId)));
  await jobs.delete(jobId);
}
