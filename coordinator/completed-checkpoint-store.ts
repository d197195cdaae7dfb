/**
 * The completed checkpoints of a job: one value in the meta store, and the compare-and-set that
 * changes it is what makes a checkpoint completed. Each entry holds its manifest's checksum, so that
 * a restore knows that it reads what was written. The checkpoints of an ended job may be claimed by
 * another one; then the value says by which. Files are the checkpoint writer's and collector's.
 */
import type { CompletedCheckpoint } from '../core/checkpoint-protocol.js';
import { MillraceError } from '../core/errors.js';
import type { BlobHandle } from '../storage/blob-store.js';
import type { LeaderEpoch } from '../storage/leader-epoch.js';
import type { MetaEntry, MetaGuard, MetaStore, MetaWrite } from '../storage/meta-store.js';
import { readBlobHandle } from './job-record.js';
import {
  deletePendingSavepoint,
  putSavepoint,
  savepointKey,
  type SavepointRecord,
} from './savepoint-record.js';
import { readStoredDocument } from './stored-document.js';

/** `checkpoint.retained` is at most 1,000, and a savepoint may stand beside them. */
const COUNT_MAX = 1_001;

export interface StoredCheckpoint extends CompletedCheckpoint {
  readonly manifest: BlobHandle;
}

export class CompletedCheckpointStore {
  readonly #meta: MetaStore;
  readonly #leader: LeaderEpoch;
  readonly #key: string;
  #revision: number | undefined;
  #checkpoints: readonly StoredCheckpoint[] = [];
  #claimedBy: string | undefined;

  private constructor(meta: MetaStore, leader: LeaderEpoch, jobId: string) {
    this.#meta = meta;
    this.#leader = leader;
    this.#key = completedKey(jobId);
  }

  /** @throws MillraceError STORAGE_UNAVAILABLE, STORAGE_CORRUPT */
  static async open(
    meta: MetaStore,
    leader: LeaderEpoch,
    jobId: string,
  ): Promise<CompletedCheckpointStore> {
    const store = new CompletedCheckpointStore(meta, leader, jobId);
    await store.#load();
    return store;
  }

  /** Oldest first; the last one is what a restart restores from. */
  get checkpoints(): readonly StoredCheckpoint[] {
    return this.#checkpoints;
  }

  /** Id of the job that has taken all of them over; then there are none here. */
  get claimedBy(): string | undefined {
    return this.#claimedBy;
  }

  /** Holds as long as nobody has changed the pointer since it was read or set here. */
  get guard(): MetaGuard {
    return this.#revision === undefined
      ? { key: this.#key, absent: true }
      : { key: this.#key, revision: this.#revision };
  }

  /**
   * Sets the pointer. When this returns, the last of `checkpoints` is completed; when it throws
   * anything but STORAGE_UNAVAILABLE, it is not and never will be. After STORAGE_UNAVAILABLE the
   * same call, made again, finds out. A claimed savepoint that the pointer names no more is listed no
   * more either.
   * @throws MillraceError STALE_EPOCH, STORAGE_CONFLICT, STORAGE_UNAVAILABLE
   */
  async set(
    checkpoints: readonly StoredCheckpoint[],
    savepoint: SavepointRecord | undefined,
  ): Promise<void> {
    const value = JSON.stringify(checkpoints);
    const writes: MetaWrite[] = [{ type: 'put', key: this.#key, value }];
    if (savepoint !== undefined) {
      writes.push(putSavepoint(savepoint), deletePendingSavepoint(savepoint.savepointId));
    }
    writes.push(...this.#withdrawals(checkpoints));
    const result = await this.#leader.txn({ guards: [this.guard], writes });
    if (result.committed) {
      this.#revision = result.revision;
      this.#checkpoints = checkpoints;
      return;
    }
    // An earlier call whose answer was lost may have done it.
    await this.#load();
    if (JSON.stringify(this.#checkpoints) === value) return;
    throw this.#conflict();
  }

  /**
   * Names none any more: what they name can be deleted.
   * @throws MillraceError STALE_EPOCH, STORAGE_CONFLICT, STORAGE_UNAVAILABLE
   */
  async clear(): Promise<void> {
    const writes = [{ type: 'delete' as const, key: this.#key }, ...this.#withdrawals([])];
    const result = await this.#leader.txn({ guards: [this.guard], writes });
    if (!result.committed) throw this.#conflict();
    this.#revision = undefined;
    this.#checkpoints = [];
  }

  /** Takes claimed savepoints off the list that `checkpoints` does not name. */
  #withdrawals(checkpoints: readonly StoredCheckpoint[]): readonly MetaWrite[] {
    const kept = new Set(checkpoints.map(({ prefix }) => prefix));
    return this.#checkpoints.flatMap(({ savepointId, claimed, prefix }): readonly MetaWrite[] =>
      savepointId === undefined || claimed !== true || kept.has(prefix)
        ? []
        : [{ type: 'delete', key: savepointKey(savepointId) }],
    );
  }

  #conflict(): MillraceError {
    return new MillraceError(
      'STORAGE_CONFLICT',
      `${this.#key} was changed by someone else; give each cluster a meta store of its own`,
    );
  }

  async #load(): Promise<void> {
    const entry = await this.#meta.get(this.#key);
    this.#revision = entry?.revision;
    const { checkpoints, claimedBy } = entry === undefined ? NOTHING : parse(entry);
    this.#checkpoints = checkpoints;
    this.#claimedBy = claimedBy;
  }
}

interface Pointer {
  readonly checkpoints: readonly StoredCheckpoint[];
  readonly claimedBy: string | undefined;
}

const NOTHING: Pointer = { checkpoints: [], claimedBy: undefined };

/** What a job retains, oldest first. @throws MillraceError STORAGE_UNAVAILABLE, STORAGE_CORRUPT */
export async function readCompleted(
  meta: MetaStore,
  jobId: string,
): Promise<readonly StoredCheckpoint[]> {
  const entry = await meta.get(completedKey(jobId));
  return entry === undefined ? [] : parse(entry).checkpoints;
}

export function completedKey(jobId: string): string {
  return `completed-checkpoints/${jobId}`;
}

export function completedWrite(
  jobId: string,
  pointer: readonly StoredCheckpoint[] | { readonly claimedBy: string },
): MetaWrite {
  return { type: 'put', key: completedKey(jobId), value: JSON.stringify(pointer) };
}

function parse({ key, value }: MetaEntry): Pointer {
  return readStoredDocument(key, value, (reader): Pointer => {
    if (!Array.isArray(reader.value)) {
      return { checkpoints: [], claimedBy: reader.field('claimedBy').string() };
    }
    const checkpoints = reader.items(COUNT_MAX).map((item): StoredCheckpoint => ({
      checkpointId: item.field('checkpointId').count(),
      ...item.optional('savepointId', (id) => id.string()),
      ...(item.field('claimed').value === true ? { claimed: true } : {}),
      prefix: item.field('prefix').string(),
      bytes: item.field('bytes').count(),
      completedAtMs: item.field('completedAtMs').number(),
      manifest: readBlobHandle(item.field('manifest')),
    }));
    return { checkpoints, claimedBy: undefined };
  });
}
