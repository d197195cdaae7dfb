/**
 * The completed checkpoints of a job: one value in the meta store, and the compare-and-set that
 * changes it is what makes a checkpoint completed. Each entry holds its manifest's checksum, so that
 * a restore knows that it reads what was written. Files are the checkpoint writer's.
 */
import type { CompletedCheckpoint } from '../core/checkpoint-protocol.js';
import { MillraceError } from '../core/errors.js';
import type { BlobHandle } from '../storage/blob-store.js';
import type { LeaderEpoch } from '../storage/leader-epoch.js';
import type { MetaStore, MetaWrite } from '../storage/meta-store.js';
import { readBlobHandle } from './job-record.js';
import { savepointKey, type SavepointRecord } from './savepoint-record.js';
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

  /**
   * Sets the pointer. When this returns, the last of `checkpoints` is completed; when it throws
   * anything but STORAGE_UNAVAILABLE, it is not and never will be. After STORAGE_UNAVAILABLE the
   * same call, made again, finds out.
   * @throws MillraceError STALE_EPOCH, STORAGE_CONFLICT, STORAGE_UNAVAILABLE
   */
  async set(
    checkpoints: readonly StoredCheckpoint[],
    savepoint: SavepointRecord | undefined,
  ): Promise<void> {
    const value = JSON.stringify(checkpoints);
    const writes: MetaWrite[] = [{ type: 'put', key: this.#key, value }];
    if (savepoint !== undefined) {
      const key = savepointKey(savepoint.savepointId);
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
    if (result.committed) {
      this.#revision = result.revision;
      this.#checkpoints = checkpoints;
      return;
    }
    // An earlier call whose answer was lost may have done it.
    await this.#load();
    if (JSON.stringify(this.#checkpoints) === value) return;
    throw new MillraceError(
      'STORAGE_CONFLICT',
      `${this.#key} was changed by someone else; give each cluster a meta store of its own`,
    );
  }

  async #load(): Promise<void> {
    const entry = await this.#meta.get(this.#key);
    this.#revision = entry?.revision;
    this.#checkpoints = entry === undefined ? [] : parse(this.#key, entry.value);
  }
}

export function completedKey(jobId: string): string {
  return `completed-checkpoints/${jobId}`;
}

function parse(key: string, text: string): readonly StoredCheckpoint[] {
  return readStoredDocument(key, text, (reader) =>
    reader.items(COUNT_MAX).map((item) => ({
      checkpointId: item.field('checkpointId').count(),
      ...item.optional('savepointId', (id) => id.string()),
      prefix: item.field('prefix').string(),
      bytes: item.field('bytes').count(),
      completedAtMs: item.field('completedAtMs').number(),
      manifest: readBlobHandle(item.field('manifest')),
    })),
  );
}
