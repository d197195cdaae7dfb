/**
 * Deletes a savepoint on its user's word (`millrace savepoint --dispose`). It is off the list before
 * its first file goes, and a note of what is to be deleted stands in the meta store until the last one
 * is gone, so that a crash in between leaves nothing behind.
 */
import { MillraceError, toMillraceError } from '../core/errors.js';
import { savepointPrefix } from '../core/savepoint-requests.js';
import type { JobServices } from './job-services.js';
import { findSavepoint, putPendingSavepoint, savepointKey } from './savepoint-record.js';

/**
 * @param checkUnused throws when a job would have to start from what lies under the prefix
 * @throws MillraceError CHECKPOINT_NOT_FOUND, JOB_STATE_CONFLICT, STALE_EPOCH, STORAGE_*
 */
export async function disposeSavepoint(
  { meta, leader, collector, log }: JobServices,
  savepointId: string,
  checkUnused: (prefix: string) => void,
): Promise<void> {
  const savepoint = await findSavepoint(meta, savepointId);
  if (savepoint === undefined) {
    throw new MillraceError(
      'CHECKPOINT_NOT_FOUND',
      `there is no savepoint "${savepointId}"; 'millrace savepoints' lists those there are`,
    );
  }
  const { jobId, checkpointId, claimedBy } = savepoint.value;
  if (claimedBy !== undefined) {
    throw new MillraceError(
      'JOB_STATE_CONFLICT',
      `savepoint "${savepointId}" belongs to job ${claimedBy}, which claimed it; it goes by itself ` +
        'when that job needs it no more',
    );
  }
  checkUnused(savepointPrefix(savepointId));
  const result = await leader.txn({
    guards: [{ key: savepointKey(savepointId), revision: savepoint.revision }],
    writes: [
      { type: 'delete', key: savepointKey(savepointId) },
      putPendingSavepoint({ savepointId, jobId, checkpointId }),
    ],
  });
  if (!result.committed) {
    throw new MillraceError(
      'STORAGE_CONFLICT',
      `savepoint "${savepointId}" was changed meanwhile; try again`,
    );
  }
  try {
    await collector.collectPendingSavepoints((pending) => pending.savepointId === savepointId);
  } catch (error) {
    log.warn({ savepointId, err: toMillraceError(error) }, 'deleting a savepoint');
  }
}
