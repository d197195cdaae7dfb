/**
 * Claiming (`--claim-mode claim`): a new job takes over the savepoint, or all checkpoints of an ended
 * job, that it starts from. They become its own first checkpoints, in the one transaction that creates
 * the job: at any moment exactly one owner has to delete their files.
 */
import { isOwned } from '../core/checkpoint-retention.js';
import { MillraceError } from '../core/errors.js';
import type { MetaStore, MetaTxn, MetaWrite } from '../storage/meta-store.js';
import { counterWrite } from './checkpoint-id-counter.js';
import { jobPrefix, type CheckpointCollector } from './checkpoint-collector.js';
import {
  completedWrite,
  type CompletedCheckpointStore,
  type StoredCheckpoint,
} from './completed-checkpoint-store.js';
import type { JobRecord } from './job-record.js';
import type { RestorePoint } from './restore-point.js';
import {
  findSavepoint,
  putSavepoint,
  savepointKey,
  type SavepointRecord,
  type Stored,
} from './savepoint-record.js';

export interface SnapshotClaim {
  /** Part of the transaction that creates the job. */
  readonly txn: MetaTxn;
  /** Blob key prefixes that are the new job's to clean up. */
  readonly prefixes: readonly string[];
}

/** @param jobId of the job that claims */
export function claimSavepoint(
  { value, revision }: Stored<SavepointRecord>,
  { prefix }: RestorePoint,
  jobId: string,
): SnapshotClaim {
  const { savepointId, checkpointId, bytes, manifest, createdAtMs: completedAtMs } = value;
  const adopted = { checkpointId, savepointId, prefix, bytes, completedAtMs, manifest };
  return {
    txn: {
      guards: [{ key: savepointKey(savepointId), revision }],
      writes: adoption(jobId, [adopted], [value]),
    },
    prefixes: [prefix],
  };
}

/**
 * Takes over all that an ended job retains, since its checkpoints share files.
 * @param owner the ended job
 * @throws MillraceError JOB_STATE_CONFLICT when a later checkpoint is retained, STORAGE_UNAVAILABLE
 */
export async function claimCheckpoints(
  owner: JobRecord,
  pointer: CompletedCheckpointStore,
  { checkpointId }: RestorePoint,
  jobId: string,
  meta: MetaStore,
  collector: CheckpointCollector,
): Promise<SnapshotClaim> {
  const owned = pointer.checkpoints.filter(isOwned);
  const latest = owned.at(-1)?.checkpointId;
  if (latest !== checkpointId) {
    throw new MillraceError(
      'JOB_STATE_CONFLICT',
      `job ${owner.jobId} retains the later checkpoint ${latest ?? ''}, and checkpoints share files, ` +
        `so that only the latest can be claimed; claim that one, or start from ${checkpointId} ` +
        'without --claim-mode claim',
    );
  }
  // What the owner itself had claimed changes hands again.
  const savepoints: SavepointRecord[] = [];
  for (const { savepointId } of owned) {
    const found = savepointId === undefined ? undefined : await findSavepoint(meta, savepointId);
    if (found !== undefined) savepoints.push(found.value);
  }
  const prefixes = [jobPrefix(owner.jobId)];
  for (const prefix of owner.claimed) {
    if (!(await collector.isEmpty(prefix))) prefixes.push(prefix);
  }
  return {
    txn: {
      guards: [pointer.guard],
      writes: [
        ...adoption(jobId, owned, savepoints),
        completedWrite(owner.jobId, { claimedBy: jobId }),
      ],
    },
    prefixes,
  };
}

/** Makes them the new job's checkpoints; its ids go on after theirs. */
function adoption(
  jobId: string,
  adopted: readonly StoredCheckpoint[],
  savepoints: readonly SavepointRecord[],
): readonly MetaWrite[] {
  const checkpoints = adopted.map(({ checkpointId, savepointId, ...rest }): StoredCheckpoint =>
    savepointId === undefined
      ? { checkpointId, ...rest }
      : { checkpointId, savepointId, claimed: true, ...rest },
  );
  const last = Math.max(...adopted.map(({ checkpointId }) => checkpointId));
  return [
    completedWrite(jobId, checkpoints),
    counterWrite(jobId, last),
    ...savepoints.map((record) => putSavepoint({ ...record, claimedBy: jobId })),
  ];
}
