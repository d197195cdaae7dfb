/**
 * The completed checkpoints of a job: one value in the meta store, and the compare-and-set that
 * changes it is what makes a checkpoint completed. Savepoints are among them, since sinks have
 * committed up to a savepoint too; a restore must never go behind the latest. Only references are
 * kept here, files are the checkpoint writer's.
 */
import type { CheckpointKind } from '../core/checkpoint-location.js';
import { MillraceError } from '../core/errors.js';
import { JsonReader, JsonShapeError } from '../core/json-reader.js';
import type { BlobHandle } from '../storage/blob-store.js';
import type { LeaderEpoch } from '../storage/leader-epoch.js';
import type { MetaStore, MetaWrite } from '../storage/meta-store.js';
import { readBlobHandle } from './job-record.js';

const SAVEPOINT_PREFIX = 'savepoints/';
const RETAINED_COUNT_MAX = 1_100;

export interface CompletedCheckpoint {
  readonly checkpointId: number;
  readonly kind: CheckpointKind;
  readonly manifest: BlobHandle;
  /** Of all files together. */
  readonly bytes: number;
  readonly completedAtMs: number;
}

/** A savepoint as it is listed; it outlives its job. */
export interface SavepointRecord {
  readonly savepointId: string;
  readonly jobId: string;
  readonly jobName: string;
  readonly createdAtMs: number;
  readonly bytes: number;
  readonly manifest: BlobHandle;
}

export class CompletedCheckpointStore {
  readonly #leader: LeaderEpoch;
  readonly #key: string;
  #revision: number | undefined;
  #retained: readonly CompletedCheckpoint[];

  private constructor(
    leader: LeaderEpoch,
    key: string,
    revision: number | undefined,
    retained: readonly CompletedCheckpoint[],
  ) {
    this.#leader = leader;
    this.#key = key;
    this.#revision = revision;
    this.#retained = retained;
  }

  /** @throws MillraceError STORAGE_UNAVAILABLE, STORAGE_CORRUPT */
  static async open(
    meta: MetaStore,
    leader: LeaderEpoch,
    jobId: string,
  ): Promise<CompletedCheckpointStore> {
    const key = completedKey(jobId);
    const entry = await meta.get(key);
    const retained =
      entry === undefined
        ? []
        : parse(key, entry.value, (reader) =>
            reader.items(RETAINED_COUNT_MAX).map(readCompletedCheckpoint),
          );
    return new CompletedCheckpointStore(leader, key, entry?.revision, retained);
  }

  /** Oldest first. */
  get retained(): readonly CompletedCheckpoint[] {
    return this.#retained;
  }

  get latest(): CompletedCheckpoint | undefined {
    return this.#retained.at(-1);
  }

  /**
   * Completes a checkpoint: when this returns, it is the one that a restore takes. Keeps the newest
   * `retainedMax`; whatever is dropped loses its files afterwards, unless it is a savepoint.
   * @throws MillraceError STALE_EPOCH or STORAGE_CONFLICT: it is not completed;
   *   STORAGE_UNAVAILABLE: it may be, so read the store before going on
   */
  async add(
    completed: CompletedCheckpoint,
    retainedMax: number,
    savepoint: SavepointRecord | undefined,
  ): Promise<void> {
    const retained = [...this.#retained, completed].slice(-retainedMax);
    const writes: MetaWrite[] = [{ type: 'put', key: this.#key, value: JSON.stringify(retained) }];
    if (savepoint !== undefined) {
      const key = SAVEPOINT_PREFIX + savepoint.savepointId;
      writes.push({ type: 'put', key, value: JSON.stringify(savepoint) });
    }
    const result = await this.#leader.txn({
      guards: [
        this.#revision === undefined
          ? { key: this.#key, absent: true }
          : { key: this.#key, revision: this.#revision },
      ],
      writes,
    });
    if (!result.committed) {
      throw new MillraceError(
        'STORAGE_CONFLICT',
        `${this.#key} was changed by someone else; give each cluster a meta store of its own`,
      );
    }
    this.#revision = result.revision;
    this.#retained = retained;
  }
}

/** All savepoints, oldest first. @throws MillraceError STORAGE_UNAVAILABLE, STORAGE_CORRUPT */
export async function listSavepoints(meta: MetaStore): Promise<readonly SavepointRecord[]> {
  const entries = await meta.list(SAVEPOINT_PREFIX);
  return entries
    .map((entry) => parse(entry.key, entry.value, readSavepoint))
    .sort((left, right) => left.createdAtMs - right.createdAtMs);
}

/** @throws MillraceError STORAGE_UNAVAILABLE, STORAGE_CORRUPT */
export async function findSavepoint(
  meta: MetaStore,
  savepointId: string,
): Promise<SavepointRecord | undefined> {
  const entry = await meta.get(SAVEPOINT_PREFIX + savepointId);
  return entry === undefined ? undefined : parse(entry.key, entry.value, readSavepoint);
}

export function completedKey(jobId: string): string {
  return `completed-checkpoints/${jobId}`;
}

function readCompletedCheckpoint(reader: JsonReader): CompletedCheckpoint {
  return {
    checkpointId: reader.field('checkpointId').count(),
    kind: reader.field('kind').oneOf(['checkpoint', 'savepoint'] as const),
    manifest: readBlobHandle(reader.field('manifest')),
    bytes: reader.field('bytes').count(),
    completedAtMs: reader.field('completedAtMs').number(),
  };
}

function readSavepoint(reader: JsonReader): SavepointRecord {
  return {
    savepointId: reader.field('savepointId').string(),
    jobId: reader.field('jobId').string(),
    jobName: reader.field('jobName').string(),
    createdAtMs: reader.field('createdAtMs').number(),
    bytes: reader.field('bytes').count(),
    manifest: readBlobHandle(reader.field('manifest')),
  };
}

function parse<T>(key: string, text: string, read: (reader: JsonReader) => T): T {
  try {
    return read(new JsonReader(JSON.parse(text), key));
  } catch (error) {
    if (!(error instanceof JsonShapeError) && !(error instanceof SyntaxError)) throw error;
    throw new MillraceError(
      'STORAGE_CORRUPT',
      `${key} can't be read (${error.message}); use the version of millrace that wrote it`,
      { cause: error },
    );
  }
}
