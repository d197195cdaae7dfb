/**
 * Leadership of the coordinator, as a number that only grows: the epoch is the create revision of
 * the election key. A leader's every write is guarded by it, so one that was replaced, and doesn't
 * know yet, can change nothing. The lease on the key only tells others when to try; it must never be
 * taken for mutual exclusion.
 */
import type { Clock } from '../core/clock.js';
import { MillraceError } from '../core/errors.js';
import type {
  MetaCondition,
  MetaEntry,
  MetaGuard,
  MetaLease,
  MetaStore,
  MetaTxn,
  MetaTxnResult,
} from './meta-store.js';
import { deleteTxn, putTxn } from './meta-store.js';

const ELECTION_KEY = 'coordinator/leader';
const LEASE_TTL_MS = 15_000;
const CAMPAIGN_TIMEOUT_MS = 30_000;

export interface CampaignOptions {
  /** Who campaigns; stable across restarts of one coordinator, different for two. Not empty. */
  readonly candidate: string;
  readonly clock: Clock;
  /** How long a dead leader keeps others waiting. Default 15,000. */
  readonly ttlMs?: number;
  /** How long to wait for a living leader to go. Default 30,000. */
  readonly timeoutMs?: number;
}

export class LeaderEpoch {
  /** Larger than that of every leader before; also across restarts of everything. */
  readonly epoch: number;
  /** Holds as long as no other leader was elected. Part of each transaction of the leader. */
  readonly guard: MetaGuard;
  /** Resolves with the reason when the leader should step down; until then it may not know. */
  readonly lost: Promise<string>;
  readonly #store: MetaStore;
  readonly #lease: MetaLease;

  private constructor(store: MetaStore, lease: MetaLease) {
    this.epoch = lease.revision;
    this.guard = { key: lease.key, createRevision: lease.revision };
    this.lost = lease.lost;
    this.#store = store;
    this.#lease = lease;
  }

  /**
   * Waits until the office is free, and takes it. A candidate that finds itself in office, left
   * there by its process before, takes over at once: the guard shuts the old one out.
   * @throws MillraceError STORAGE_LOCKED naming the leader that didn't go; STORAGE_UNAVAILABLE
   */
  static async campaign(store: MetaStore, options: CampaignOptions): Promise<LeaderEpoch> {
    const { candidate, clock } = options;
    const deadline = clock.monotonic() + (options.timeoutMs ?? CAMPAIGN_TIMEOUT_MS);
    for (;;) {
      const lease = await store.lease(ELECTION_KEY, candidate, options.ttlMs ?? LEASE_TTL_MS);
      if (lease !== undefined) return new LeaderEpoch(store, lease);
      const leader = await store.get(ELECTION_KEY);
      if (leader === undefined) continue;
      if (leader.value === candidate) {
        await store.delete(ELECTION_KEY, { ifRevision: leader.revision });
      } else {
        await waitUntilGone(store, leader, deadline, clock);
      }
    }
  }

  /**
   * A transaction under this epoch.
   * @throws MillraceError STALE_EPOCH if another leader was elected; then nothing was written
   */
  async txn(txn: MetaTxn): Promise<MetaTxnResult> {
    const guards = [this.guard, ...txn.guards];
    const result = await this.#store.txn({ guards, writes: txn.writes });
    if (!result.committed && result.conflicts.includes(this.guard.key)) {
      throw new MillraceError(
        'STALE_EPOCH',
        `epoch ${this.epoch} is over, another coordinator leads; this one must step down`,
      );
    }
    return result;
  }

  /** A compare-and-set under this epoch; throws as `txn`. */
  put(key: string, value: string, condition: MetaCondition): Promise<MetaTxnResult> {
    return this.txn(putTxn(key, value, condition));
  }

  /** A compare-and-delete under this epoch; throws as `txn`. */
  delete(key: string, condition: { readonly ifRevision: number }): Promise<MetaTxnResult> {
    return this.txn(deleteTxn(key, condition));
  }

  /** Leaves the office, so that the next leader need not wait. */
  resign(): Promise<void> {
    return this.#lease.revoke();
  }
}

async function waitUntilGone(
  store: MetaStore,
  leader: MetaEntry,
  deadline: number,
  clock: Clock,
): Promise<void> {
  let settle: (gone: boolean) => void = () => undefined;
  const settled = new Promise<boolean>((resolve) => (settle = resolve));
  const watch = await store.watch(leader.key, (event) => {
    if (event.type === 'delete' && event.key === leader.key) settle(true);
  });
  const leftMs = Math.max(0, deadline - clock.monotonic());
  const cancelTimer = clock.setTimer(leftMs, () => {
    settle(false);
  });
  if (watch.snapshot.every((entry) => entry.key !== leader.key)) settle(true);
  const gone = await settled;
  cancelTimer();
  watch.close();
  if (gone) return;
  throw new MillraceError(
    'STORAGE_LOCKED',
    `coordinator ${leader.value} leads this cluster (epoch ${leader.createRevision}); ` +
      `stop it, or give this one another meta store`,
  );
}
