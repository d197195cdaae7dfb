/**
 * Deletes checkpoint files that nothing refers to any more (journey of a barrier, its end). What may
 * go is decided by the checkpoint decider; this only finds it in the store and deletes it, so that
 * what was interrupted is found again. It must never delete a file that it was told to keep.
 */
import { savepointPrefix } from '../core/savepoint-requests.js';
import type { BlobStore } from '../storage/blob-store.js';
import type { LeaderEpoch } from '../storage/leader-epoch.js';
import type { MetaStore } from '../storage/meta-store.js';
import { MANIFEST_NAME } from '../core/checkpoint-manifest.js';
import {
  deletePendingSavepoint,
  listPendingSavepoints,
  type PendingSavepoint,
} from './savepoint-record.js';

/** Where files lie that one job has to delete. */
export interface OwnedPrefixes {
  readonly jobId: string;
  /** Blob key prefixes that the job has taken over with what it claimed. */
  readonly claimed: readonly string[];
}

export class CheckpointCollector {
  readonly #blobs: BlobStore;
  readonly #meta: MetaStore;
  readonly #leader: LeaderEpoch;

  constructor(blobs: BlobStore, meta: MetaStore, leader: LeaderEpoch) {
    this.#blobs = blobs;
    this.#meta = meta;
    this.#leader = leader;
  }

  /**
   * Deletes what lies under the prefix, but `keep`, and `files` besides. The manifest goes first: half
   * a checkpoint must not look like one.
   * @throws MillraceError STORAGE_UNAVAILABLE
   */
  async discard(
    prefix: string,
    files: readonly string[] = [],
    keep: readonly string[] = [],
  ): Promise<void> {
    await this.#blobs.delete(prefix + MANIFEST_NAME);
    await this.#deleteUnder(prefix, new Set(keep));
    await this.#blobs.deleteAll(files);
  }

  /**
   * Deletes all files of a job's checkpoints up to an id, and of savepoints that never completed, but
   * those that are to be kept. Later ones may be under way.
   * @throws MillraceError STORAGE_UNAVAILABLE, STORAGE_CORRUPT, STALE_EPOCH
   */
  async collectOrphans(
    { jobId, claimed }: OwnedPrefixes,
    keep: Iterable<string>,
    upTo = Number.POSITIVE_INFINITY,
  ): Promise<void> {
    const kept = new Set(keep);
    const own = `${jobPrefix(jobId)}chk-`;
    if (upTo === Number.POSITIVE_INFINITY) await this.#deleteUnder(own, kept);
    else {
      const isOver = (key: string): boolean => Number.parseInt(key.slice(own.length), 10) <= upTo;
      await this.#blobs.deleteAll(this.#keysUnder(own, kept, isOver));
    }
    for (const prefix of claimed) await this.#deleteUnder(prefix, kept);
    await this.collectPendingSavepoints(
      (pending) => pending.jobId === jobId && pending.checkpointId <= upTo,
    );
  }

  /** @throws MillraceError STORAGE_UNAVAILABLE, STORAGE_CORRUPT, STALE_EPOCH */
  async collectPendingSavepoints(isOver: (pending: PendingSavepoint) => boolean): Promise<void> {
    for (const pending of await listPendingSavepoints(this.#meta)) {
      if (!isOver(pending)) continue;
      await this.discard(savepointPrefix(pending.savepointId));
      await this.#leader.txn({ guards: [], writes: [deletePendingSavepoint(pending.savepointId)] });
    }
  }

  /** @throws MillraceError STORAGE_UNAVAILABLE */
  async isEmpty(prefix: string): Promise<boolean> {
    const { done } = await this.#blobs.list(prefix)[Symbol.asyncIterator]().next();
    return done === true;
  }

  /** What is still being written there has nowhere to go. */
  async #deleteUnder(prefix: string, keep: ReadonlySet<string>): Promise<void> {
    await this.#blobs.removeUnfinished(prefix);
    await this.#blobs.deleteAll(this.#keysUnder(prefix, keep, () => true));
  }

  async *#keysUnder(
    prefix: string,
    keep: ReadonlySet<string>,
    isMeant: (key: string) => boolean,
  ): AsyncGenerator<string, void, undefined> {
    for await (const { key } of this.#blobs.list(prefix)) {
      if (!keep.has(key) && isMeant(key)) yield key;
    }
  }
}

/** Under which all checkpoints of a job lie, with a slash at the end. */
export function jobPrefix(jobId: string): string {
  return `jobs/${jobId}/`;
}
