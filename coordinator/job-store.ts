/**
 * Job records in the meta store, each change a compare-and-set under this coordinator's epoch: one
 * that was replaced can't change a job any more. It must never answer before a record is durable.
 */
import { MillraceError } from '../core/errors.js';
import type { LeaderEpoch } from '../storage/leader-epoch.js';
import type { MetaStore, MetaTxn } from '../storage/meta-store.js';
import { parseJobRecord, type JobRecord } from './job-record.js';

const PREFIX = 'job-records/';
const NOTHING_ELSE: MetaTxn = { guards: [], writes: [] };

export class JobStore {
  readonly #meta: MetaStore;
  readonly #leader: LeaderEpoch;
  /** Revision of each record as we wrote or read it last. */
  readonly #revisions = new Map<string, number>();

  constructor(meta: MetaStore, leader: LeaderEpoch) {
    this.#meta = meta;
    this.#leader = leader;
  }

  /**
   * All records, oldest submission first.
   * @throws MillraceError STORAGE_UNAVAILABLE, STORAGE_CORRUPT
   */
  async load(): Promise<readonly JobRecord[]> {
    const records: JobRecord[] = [];
    for (const entry of await this.#meta.list(PREFIX)) {
      const record = parseJobRecord(entry.key, entry.value);
      this.#revisions.set(record.jobId, entry.revision);
      records.push(record);
    }
    return records.sort((left, right) => left.submittedAtMs - right.submittedAtMs);
  }

  /**
   * Writes a record, new or changed. Calls for one job must not overlap.
   * @param also happens in the same transaction, or nothing does
   * @throws MillraceError STALE_EPOCH, STORAGE_UNAVAILABLE, STORAGE_CONFLICT when someone else wrote it
   */
  async put(record: JobRecord, also: MetaTxn = NOTHING_ELSE): Promise<void> {
    const key = PREFIX + record.jobId;
    const revision = this.#revisions.get(record.jobId);
    const result = await this.#leader.txn({
      guards: [revision === undefined ? { key, absent: true } : { key, revision }, ...also.guards],
      writes: [{ type: 'put', key, value: JSON.stringify(record) }, ...also.writes],
    });
    if (!result.committed) throw conflict(result.conflicts.join(', '));
    this.#revisions.set(record.jobId, result.revision);
  }

  /** Forgets an ended job. @throws as `put` */
  async delete(jobId: string): Promise<void> {
    const ifRevision = this.#revisions.get(jobId);
    if (ifRevision === undefined) return;
    const result = await this.#leader.delete(PREFIX + jobId, { ifRevision });
    if (!result.committed) throw conflict(PREFIX + jobId);
    this.#revisions.delete(jobId);
  }
}

function conflict(keys: string): MillraceError {
  return new MillraceError(
    'STORAGE_CONFLICT',
    `${keys} was changed by someone else; give each cluster a meta store (or prefix) of its own`,
  );
}
