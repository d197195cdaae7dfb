/**
 * From what a user names after `--from-savepoint` to a manifest: the id of a savepoint, or
 * `JOB-ID/CHECKPOINT-ID` of a retained checkpoint. Names are looked up, never taken for paths. What
 * another job has claimed is refused by saying so.
 */
import { MANIFEST_NAME } from '../core/checkpoint-manifest.js';
import { isOwned } from '../core/checkpoint-retention.js';
import { MillraceError } from '../core/errors.js';
import type { BlobHandle } from '../storage/blob-store.js';
import type { LeaderEpoch } from '../storage/leader-epoch.js';
import type { MetaStore } from '../storage/meta-store.js';
import { CompletedCheckpointStore } from './completed-checkpoint-store.js';
import { findSavepoint, type SavepointRecord, type Stored } from './savepoint-record.js';

export interface RestorePoint {
  readonly checkpointId: number;
  /** Blob key prefix under which the manifest lies. */
  readonly prefix: string;
  readonly manifest: BlobHandle;
  readonly origin:
    | { readonly kind: 'savepoint'; readonly savepoint: Stored<SavepointRecord> }
    /** Retained by the job whose pointer this is. */
    | {
        readonly kind: 'checkpoint';
        readonly jobId: string;
        readonly pointer: CompletedCheckpointStore;
      };
}

/**
 * @throws MillraceError CHECKPOINT_NOT_FOUND, JOB_STATE_CONFLICT when a job has claimed it,
 *   STORAGE_UNAVAILABLE, STORAGE_CORRUPT
 */
export async function findRestorePoint(
  meta: MetaStore,
  leader: LeaderEpoch,
  name: string,
): Promise<RestorePoint> {
  const found = (await savepointPoint(meta, name)) ?? (await checkpointPoint(meta, leader, name));
  if (found !== undefined) return found;
  throw notFound(name);
}

export function notFound(name: string): MillraceError {
  return new MillraceError(
    'CHECKPOINT_NOT_FOUND',
    `there is no savepoint "${name}"; give the id of a savepoint ('millrace savepoints'), or ` +
      "JOB-ID/CHECKPOINT-ID of a retained checkpoint ('millrace checkpoints JOB' lists them; those " +
      'of a finished job are deleted, and so is what a job has claimed and needs no more)',
  );
}

async function savepointPoint(
  meta: MetaStore,
  savepointId: string,
): Promise<RestorePoint | undefined> {
  if (!/^[A-Za-z0-9._-]+$/.test(savepointId)) return undefined;
  const savepoint = await findSavepoint(meta, savepointId);
  if (savepoint === undefined) return undefined;
  const { claimedBy } = savepoint.value;
  if (claimedBy !== undefined) throw claimed(`savepoint "${savepointId}"`, claimedBy);
  return { ...point(savepoint.value), origin: { kind: 'savepoint', savepoint } };
}

async function checkpointPoint(
  meta: MetaStore,
  leader: LeaderEpoch,
  name: string,
): Promise<RestorePoint | undefined> {
  const [, jobId, checkpointId] = /^([0-9a-f]{16})\/(\d{1,15})$/.exec(name) ?? [];
  if (jobId === undefined) return undefined;
  const pointer = await CompletedCheckpointStore.open(meta, leader, jobId);
  if (pointer.claimedBy !== undefined)
    throw claimed(`what job ${jobId} retained`, pointer.claimedBy);
  const found = pointer.checkpoints.find((one) => one.checkpointId === Number(checkpointId));
  if (found === undefined) return undefined;
  if (!isOwned(found)) return savepointPoint(meta, found.savepointId ?? '');
  return { ...point(found), origin: { kind: 'checkpoint', jobId, pointer } };
}

function point({
  checkpointId,
  manifest,
}: {
  readonly checkpointId: number;
  readonly manifest: BlobHandle;
}): Omit<RestorePoint, 'origin'> {
  return { checkpointId, manifest, prefix: manifest.key.slice(0, -MANIFEST_NAME.length) };
}

function claimed(what: string, jobId: string): MillraceError {
  return new MillraceError(
    'JOB_STATE_CONFLICT',
    `${what} belongs to job ${jobId}, which claimed it and deletes it when it needs it no more; ` +
      `start from a savepoint of that job, or from what it retains ('millrace checkpoints ${jobId}')`,
  );
}
