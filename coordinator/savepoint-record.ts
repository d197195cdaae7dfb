/**
 * Savepoints as the meta store lists them: written in the transaction that completes one, and kept
 * after its job has ended. Beside them stand the prefixes that hold files of a savepoint which is not
 * complete yet, or no longer listed: so a crash at any moment leaves either a savepoint or a note of
 * what is to be deleted.
 */
import type { BlobHandle } from '../storage/blob-store.js';
import type { MetaEntry, MetaStore, MetaWrite } from '../storage/meta-store.js';
import { readBlobHandle } from './job-record.js';
import { readStoredDocument } from './stored-document.js';

const PREFIX = 'savepoints/';
const PENDING_PREFIX = 'pending-savepoints/';

export interface SavepointRecord {
  readonly savepointId: string;
  readonly jobId: string;
  readonly jobName: string;
  readonly checkpointId: number;
  readonly createdAtMs: number;
  /** Of all files together. */
  readonly bytes: number;
  readonly manifest: BlobHandle;
  /** Id of the job that owns it now: it goes when that job needs it no more. */
  readonly claimedBy?: string;
}

/** There may be files under the savepoint's prefix, and no record of it. */
export interface PendingSavepoint {
  readonly savepointId: string;
  readonly jobId: string;
  readonly checkpointId: number;
}

/** A value with the revision that a compare-and-set on it needs. */
export interface Stored<T> {
  readonly value: T;
  readonly revision: number;
}

export function savepointKey(savepointId: string): string {
  return PREFIX + savepointId;
}

export function putSavepoint(record: SavepointRecord): MetaWrite {
  return { type: 'put', key: savepointKey(record.savepointId), value: JSON.stringify(record) };
}

export function putPendingSavepoint(pending: PendingSavepoint): MetaWrite {
  const key = PENDING_PREFIX + pending.savepointId;
  return { type: 'put', key, value: JSON.stringify(pending) };
}

export function deletePendingSavepoint(savepointId: string): MetaWrite {
  return { type: 'delete', key: PENDING_PREFIX + savepointId };
}

/** All savepoints, oldest first. @throws MillraceError STORAGE_UNAVAILABLE, STORAGE_CORRUPT */
export async function listSavepoints(meta: MetaStore): Promise<readonly SavepointRecord[]> {
  const entries = await meta.list(PREFIX);
  return entries.map(parse).sort((left, right) => left.createdAtMs - right.createdAtMs);
}

/** @throws MillraceError STORAGE_UNAVAILABLE, STORAGE_CORRUPT */
export async function findSavepoint(
  meta: MetaStore,
  savepointId: string,
): Promise<Stored<SavepointRecord> | undefined> {
  const entry = await meta.get(savepointKey(savepointId));
  return entry === undefined ? undefined : { value: parse(entry), revision: entry.revision };
}

/** @throws MillraceError STORAGE_UNAVAILABLE, STORAGE_CORRUPT */
export async function listPendingSavepoints(meta: MetaStore): Promise<readonly PendingSavepoint[]> {
  return (await meta.list(PENDING_PREFIX)).map((entry) =>
    readStoredDocument(entry.key, entry.value, (reader) => ({
      savepointId: reader.field('savepointId').string(),
      jobId: reader.field('jobId').string(),
      checkpointId: reader.field('checkpointId').count(),
    })),
  );
}

function parse({ key, value }: MetaEntry): SavepointRecord {
  return readStoredDocument(key, value, (reader) => ({
    savepointId: reader.field('savepointId').string(),
    jobId: reader.field('jobId').string(),
    jobName: reader.field('jobName').string(),
    checkpointId: reader.field('checkpointId').count(),
    createdAtMs: reader.field('createdAtMs').number(),
    bytes: reader.field('bytes').count(),
    manifest: readBlobHandle(reader.field('manifest')),
    ...reader.optional('claimedBy', (jobId) => jobId.string()),
  }));
}
