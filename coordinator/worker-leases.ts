/**
 * Leases of the registered workers in the meta store: a hint, for people and for a coordinator that
 * starts, of who was there. Nothing is decided by them, so a failure here is logged and no more.
 */
import type { Logger } from 'pino';
import { toMillraceError } from '../core/errors.js';
import type { MetaLease, MetaStore } from '../storage/meta-store.js';
import type { WorkerDescription } from './worker-registry.js';

const TTL_MIN_MS = 1_000;

export class WorkerLeases {
  readonly #meta: MetaStore;
  readonly #log: Logger;
  readonly #ttlMs: number;
  /** Per worker what was asked for last; each step waits for the one before. */
  readonly #leases = new Map<string, Promise<MetaLease | undefined>>();

  constructor(meta: MetaStore, log: Logger, ttlMs: number) {
    this.#meta = meta;
    this.#log = log;
    this.#ttlMs = Math.max(TTL_MIN_MS, ttlMs);
  }

  take(worker: WorkerDescription): void {
    const { workerId, slots, dataAddress, host, pid } = worker;
    const before = this.#leases.get(workerId) ?? Promise.resolve(undefined);
    const value = JSON.stringify({ slots, dataAddress, host, pid });
    const taken = before
      .then(() => this.#meta.lease(`workers/${workerId}`, value, this.#ttlMs))
      .catch((error: unknown) => this.#failed(workerId, error));
    this.#leases.set(workerId, taken);
  }

  revoke(workerId: string): void {
    const revoked = (this.#leases.get(workerId) ?? Promise.resolve(undefined))
      .then(async (lease) => {
        await lease?.revoke();
        return undefined;
      })
      .catch((error: unknown) => this.#failed(workerId, error))
      .finally(() => {
        if (this.#leases.get(workerId) === revoked) this.#leases.delete(workerId);
      });
    this.#leases.set(workerId, revoked);
  }

  /** Revokes all of them. */
  async close(): Promise<void> {
    for (const workerId of [...this.#leases.keys()]) this.revoke(workerId);
    await Promise.all(this.#leases.values());
  }

  #failed(workerId: string, error: unknown): undefined {
    this.#log.warn({ workerId, err: toMillraceError(error) }, 'lease of a worker');
    return undefined;
  }
}
