/**
 * From what a user names after `--from-savepoint` to a manifest: the id of a savepoint, or
 * `JOB-ID/CHECKPOINT-ID` of a retained checkpoint. Names are looked up, never taken for paths.
 */
import { MANIFEST_NAME } from '../core/checkpoint-manifest.js';
import { MillraceError } from '../core/errors.js';
import type { RestoreReference } from './job-record.js';
import type { LeaderEpoch } from '../storage/leader-epoch.js';
import type { MetaStore } from '../storage/meta-store.js';
import { CompletedCheckpointStore } from './completed-checkpoint-store.js';
import { findSavepoint } from './savepoint-record.js';

/** A reference without the user's wishes about it. */
export type RestorePoint = Omit<RestoreReference, 'name' | 'allowNonRestoredState'>;

/** @throws MillraceError CHECKPOINT_NOT_FOUND, STORAGE_UNAVAILABLE, STORAGE_CORRUPT */
export async function findRestorePoint(
  meta: MetaStore,
  leader: LeaderEpoch,
  name: string,
): Promise<RestorePoint> {
  if (/^[A-Za-z0-9._-]+$/.test(name)) {
    const savepoint = await findSavepoint(meta, name);
    if (savepoint !== undefined) return restorePoint(savepoint);
  }
  const [, jobId, checkpointId] = /^([0-9a-f]{16})\/(\d{1,15})$/.exec(name) ?? [];
  if (jobId !== undefined) {
    const { checkpoints } = await CompletedCheckpointStore.open(meta, leader, jobId);
    const found = checkpoints.find((one) => one.checkpointId === Number(checkpointId));
    if (found !== undefined) return restorePoint(found);
  }
  throw new MillraceError(
    'CHECKPOINT_NOT_FOUND',
    `there is no savepoint "${name}"; give the id of a savepoint, or JOB-ID/CHECKPOINT-ID of a ` +
      "retained checkpoint ('millrace checkpoints JOB' lists them)",
  );
}

function restorePoint({ checkpointId, manifest }: Omit<RestorePoint, 'prefix'>): RestorePoint {
  return { checkpointId, manifest, prefix: manifest.key.slice(0, -MANIFEST_NAME.length) };
}
