/**
 * Checkpoint ids of a job: taken from the meta store, so that they only grow and none is given twice,
 * whichever coordinator asks.
 */
import { MillraceError } from '../core/errors.js';
import type { LeaderEpoch } from '../storage/leader-epoch.js';
import type { MetaStore } from '../storage/meta-store.js';

export class CheckpointIdCounter {
  readonly #meta: MetaStore;
  readonly #leader: LeaderEpoch;
  readonly #key: string;

  constructor(meta: MetaStore, leader: LeaderEpoch, jobId: string) {
    this.#meta = meta;
    this.#leader = leader;
    this.#key = checkpointCounterKey(jobId);
  }

  /**
   * The next id, at least 1. A write whose outcome is unknown costs an id, never gives one twice.
   * @throws MillraceError STALE_EPOCH, STORAGE_UNAVAILABLE, STORAGE_CONFLICT when calls overlap
   */
  async next(): Promise<number> {
    const entry = await this.#meta.get(this.#key);
    const id = entry === undefined ? 1 : Number(entry.value) + 1;
    if (!Number.isSafeInteger(id)) {
      throw new MillraceError('STORAGE_CORRUPT', `${this.#key} holds no number; restore the store`);
    }
    const result = await this.#leader.put(
      this.#key,
      String(id),
      entry === undefined ? { ifAbsent: true } : { ifRevision: entry.revision },
    );
    if (result.committed) return id;
    throw new MillraceError(
      'STORAGE_CONFLICT',
      `${this.#key} was changed by someone else; give each cluster a meta store of its own`,
    );
  }
}

export function checkpointCounterKey(jobId: string): string {
  return `checkpoint-counters/${jobId}`;
}
