/**
 * Checkpoint ids of a job: taken from the meta store, so that they only grow and none is given twice,
 * whichever coordinator asks.
 */
import { MillraceError } from '../core/errors.js';
import type { LeaderEpoch } from '../storage/leader-epoch.js';
import type { MetaGuard, MetaStore, MetaWrite } from '../storage/meta-store.js';
import { putPendingSavepoint } from './savepoint-record.js';

export class CheckpointIdCounter {
  readonly #meta: MetaStore;
  readonly #leader: LeaderEpoch;
  readonly #jobId: string;
  readonly #key: string;

  constructor(meta: MetaStore, leader: LeaderEpoch, jobId: string) {
    this.#meta = meta;
    this.#leader = leader;
    this.#jobId = jobId;
    this.#key = checkpointCounterKey(jobId);
  }

  /** The id that was taken last; 0: none. @throws MillraceError STORAGE_UNAVAILABLE, STORAGE_CORRUPT */
  async last(): Promise<number> {
    return (await this.#read()).last;
  }

  /**
   * The next id, at least 1. A write whose outcome is unknown costs an id, never gives one twice.
   * @param savepointId notes in the same write that files may lie under this savepoint's prefix
   * @throws MillraceError STALE_EPOCH, STORAGE_UNAVAILABLE, STORAGE_CONFLICT when calls overlap
   */
  async next(savepointId?: string): Promise<number> {
    const { last, guard } = await this.#read();
    const checkpointId = last + 1;
    const writes = [counterWrite(this.#jobId, checkpointId)];
    if (savepointId !== undefined) {
      writes.push(putPendingSavepoint({ savepointId, jobId: this.#jobId, checkpointId }));
    }
    const result = await this.#leader.txn({ guards: [guard], writes });
    if (result.committed) return checkpointId;
    throw new MillraceError(
      'STORAGE_CONFLICT',
      `${this.#key} was changed by someone else; give each cluster a meta store of its own`,
    );
  }

  async #read(): Promise<{ readonly last: number; readonly guard: MetaGuard }> {
    const key = this.#key;
    const entry = await this.#meta.get(key);
    if (entry === undefined) return { last: 0, guard: { key, absent: true } };
    const last = Number(entry.value);
    if (Number.isSafeInteger(last)) return { last, guard: { key, revision: entry.revision } };
    throw new MillraceError('STORAGE_CORRUPT', `${key} holds no number; restore the store`);
  }
}

/** Lets a job's ids begin after `last`. */
export function counterWrite(jobId: string, last: number): MetaWrite {
  return { type: 'put', key: checkpointCounterKey(jobId), value: String(last) };
}

export function checkpointCounterKey(jobId: string): string {
  return `checkpoint-counters/${jobId}`;
}
