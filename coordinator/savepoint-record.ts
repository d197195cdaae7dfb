/**
 * Savepoints as the meta store lists them: written in the transaction that completes one, and kept
 * after its job has ended.
 */
import type { BlobHandle } from '../storage/blob-store.js';
import type { MetaStore } from '../storage/meta-store.js';
import { readBlobHandle } from './job-record.js';
import { readStoredDocument } from './stored-document.js';

const PREFIX = 'savepoints/';

export interface SavepointRecord {
  readonly savepointId: string;
  readonly jobId: string;
  readonly jobName: string;
  readonly checkpointId: number;
  readonly createdAtMs: number;
  /** Of all files together. */
  readonly bytes: number;
  readonly manifest: BlobHandle;
}

export function savepointKey(savepointId: string): string {
  return PREFIX + savepointId;
}

/** All savepoints, oldest first. @throws MillraceError STORAGE_UNAVAILABLE, STORAGE_CORRUPT */
export async function listSavepoints(meta: MetaStore): Promise<readonly SavepointRecord[]> {
  const entries = await meta.list(PREFIX);
  return entries
    .map((entry) => parse(entry.key, entry.value))
    .sort((left, right) => left.createdAtMs - right.createdAtMs);
}

/** @throws MillraceError STORAGE_UNAVAILABLE, STORAGE_CORRUPT */
export async function findSavepoint(
  meta: MetaStore,
  savepointId: string,
): Promise<SavepointRecord | undefined> {
  const entry = await meta.get(savepointKey(savepointId));
  return entry === undefined ? undefined : parse(entry.key, entry.value);
}

function parse(key: string, text: string): SavepointRecord {
  return readStoredDocument(key, text, (reader) => ({
    savepointId: reader.field('savepointId').string(),
    jobId: reader.field('jobId').string(),
    jobName: reader.field('jobName').string(),
    checkpointId: reader.field('checkpointId').count(),
    createdAtMs: reader.field('createdAtMs').number(),
    bytes: reader.field('bytes').count(),
    manifest: readBlobHandle(reader.field('manifest')),
  }));
}
