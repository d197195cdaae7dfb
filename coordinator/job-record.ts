/**
 * What is kept about a job so that another coordinator can go on with it: its bundle, how it was
 * submitted, and how far it got. Read back as untrusted data.
 */
import type { JobStatus } from '../api/rest/job-dto.js';
import { JOB_STATUSES } from '../api/rest/job-dto.js';
import { ERROR_CODES, type ErrorCode, type SerializedError } from '../core/errors.js';
import type { JsonReader } from '../core/json-reader.js';
import type { BlobHandle } from '../storage/blob-store.js';
import { readStoredDocument } from './stored-document.js';

/** One for every job in the chain of claims that still has files; they go with the old checkpoints. */
const CLAIMED_MAX = 1_000;

/** A checkpoint or savepoint that a job starts from. */
export interface RestoreReference {
  /** As the user named it. */
  readonly name: string;
  readonly checkpointId: number;
  /** Blob key prefix of its manifest. */
  readonly prefix: string;
  readonly manifest: BlobHandle;
  readonly allowNonRestoredState: boolean;
}

/** What is still to be done about the files of a job that has ended. */
export type PendingCleanup = 'retain' | 'delete';

export interface JobRecord {
  readonly jobId: string;
  readonly jobName: string;
  readonly bundleId: string;
  /** At which the job is to run, slots permitting. */
  readonly desiredParallelism: number;
  /** Run at that parallelism or not at all. */
  readonly exactParallelism: boolean;
  /** At which it ran last, where that is known: of a job that has ended. */
  readonly parallelism: number;
  readonly submittedAtMs: number;
  readonly restore: RestoreReference | null;
  /** Blob key prefixes that it took over when it claimed what it was started from. */
  readonly claimed: readonly string[];
  readonly status: JobStatus;
  /** The highest attempt that may ever have been deployed. */
  readonly attempt: number;
  /** Attempts that were started for another parallelism, not because one failed. */
  readonly rescales: number;
  /** A cancel that was asked for must survive the coordinator. */
  readonly canceling: boolean;
  readonly finishedAtMs: number | null;
  readonly failure: SerializedError | null;
  /**
   * Once it has ended: `delete`, that all of its checkpoints go; `retain`, that what they don't name
   * goes; null, that this is done.
   */
  readonly cleanup: PendingCleanup | null;
}

/** @throws MillraceError STORAGE_CORRUPT */
export function parseJobRecord(key: string, text: string): JobRecord {
  return readStoredDocument(key, text, readRecord);
}

export function readBlobHandle(reader: JsonReader): BlobHandle {
  return {
    key: reader.field('key').string(),
    lengthBytes: reader.field('lengthBytes').count(),
    sha256: reader.field('sha256').string(),
  };
}

/** Absent counts as null: records of an earlier version lack what came later. */
function orNull<T>(reader: JsonReader, read: (reader: JsonReader) => T): T | null {
  return reader.value === null || reader.value === undefined ? null : read(reader);
}

function readRecord(reader: JsonReader): JobRecord {
  return {
    jobId: reader.field('jobId').string(),
    jobName: reader.field('jobName').string(),
    bundleId: reader.field('bundleId').string(),
    desiredParallelism: reader.field('desiredParallelism').count(),
    exactParallelism: reader.field('exactParallelism').boolean(),
    parallelism: reader.field('parallelism').count(),
    submittedAtMs: reader.field('submittedAtMs').number(),
    restore: orNull(reader.field('restore'), (restore) => ({
      name: restore.field('name').string(),
      checkpointId: restore.field('checkpointId').count(),
      prefix: restore.field('prefix').string(),
      manifest: readBlobHandle(restore.field('manifest')),
      allowNonRestoredState: restore.field('allowNonRestoredState').boolean(),
    })),
    claimed: orNull(reader.field('claimed'), readPrefixes) ?? [],
    status: reader.field('status').oneOf(JOB_STATUSES),
    attempt: reader.field('attempt').count(),
    rescales: reader.field('rescales').count(),
    canceling: reader.field('canceling').boolean(),
    finishedAtMs: orNull(reader.field('finishedAtMs'), (at) => at.number()),
    failure: orNull(reader.field('failure'), readFailure),
    cleanup: orNull(reader.field('cleanup'), (cleanup) => cleanup.oneOf(['retain', 'delete'])),
  };
}

function readPrefixes(reader: JsonReader): readonly string[] {
  return reader.items(CLAIMED_MAX).map((prefix) => prefix.string());
}

function readFailure(reader: JsonReader): SerializedError {
  const location = reader.field('location');
  return {
    code: reader.field('code').oneOf(Object.keys(ERROR_CODES) as ErrorCode[]),
    message: reader.field('message').string(Number.MAX_SAFE_INTEGER),
    ...reader.optional('stack', (stack) => stack.string(Number.MAX_SAFE_INTEGER)),
    ...(location.value === undefined
      ? {}
      : {
          location: {
            ...location.optional('operator', (operator) => operator.string()),
            ...location.optional('subtask', (subtask) => subtask.count()),
            ...location.optional('worker', (worker) => worker.string()),
          },
        }),
  };
}
