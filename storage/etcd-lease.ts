/**
 * A lease on etcd, renewed from here. It counts itself as lost by its own monotonic clock: from when
 * the last successful renewal was *sent*, plus the time to live, less a margin. So it knows before
 * etcd lets anyone see the key vanish, also when etcd is frozen or out of reach.
 */
import { EtcdLeaseInvalidError } from 'etcd3';
import type { EtcdConnection } from './etcd-connection.js';

/** A lost lease may outlive a leader change in etcd, so its key is taken back; tried this often. */
const REVOKE_ATTEMPTS_MAX = 10;

/** A lease that etcd granted; `sentAtMs` is the monotonic time at which it was asked for. */
export interface EtcdLeaseGrant {
  readonly id: string;
  readonly ttlMs: number;
  readonly sentAtMs: number;
}

/** @throws MillraceError STORAGE_UNAVAILABLE; a grant whose answer was lost expires by itself */
export function grantEtcdLease(connection: EtcdConnection, ttlMs: number): Promise<EtcdLeaseGrant> {
  return connection.retry('grant a lease', async () => {
    const sentAtMs = connection.clock.monotonic();
    const ttlSeconds = Math.max(1, Math.ceil(ttlMs / 1000));
    const granted = await connection.client.leaseClient.leaseGrant({ TTL: ttlSeconds });
    return { id: granted.ID, ttlMs: Number(granted.TTL) * 1000, sentAtMs };
  });
}

export class EtcdLease {
  readonly lost: Promise<string>;
  readonly #connection: EtcdConnection;
  readonly #grant: EtcdLeaseGrant;
  #resolveLost: (reason: string) => void = () => undefined;
  #state: 'held' | 'lost' | 'ended' = 'held';
  #cancelRenewal: () => void = () => undefined;
  #cancelExpiry: () => void = () => undefined;

  constructor(
    readonly key: string,
    readonly revision: number,
    connection: EtcdConnection,
    grant: EtcdLeaseGrant,
  ) {
    this.#connection = connection;
    this.#grant = grant;
    this.lost = new Promise((resolve) => (this.#resolveLost = resolve));
    this.#renewed(grant.sentAtMs);
  }

  async revoke(): Promise<void> {
    this.end();
    await revokeEtcdLease(this.#connection, this.#grant);
  }

  /** Stops renewing; the key expires unless it is revoked. */
  end(): void {
    this.#state = 'ended';
    this.#cancelRenewal();
    this.#cancelExpiry();
  }

  #renewed(sentAtMs: number): void {
    const { ttlMs } = this.#grant;
    const { clock } = this.#connection;
    const marginMs = Math.min(1000, ttlMs / 5);
    const leftMs = Math.max(0, sentAtMs + ttlMs - marginMs - clock.monotonic());
    this.#cancelExpiry();
    this.#cancelExpiry = clock.setTimer(leftMs, () => {
      this.#lose(`etcd did not renew the lease on ${this.key} within ${ttlMs} ms`);
    });
    this.#scheduleRenewal(ttlMs / 3);
  }

  #scheduleRenewal(delayMs: number): void {
    this.#cancelRenewal = this.#connection.clock.setTimer(delayMs, () => void this.#renew());
  }

  async #renew(): Promise<void> {
    const sentAtMs = this.#connection.clock.monotonic();
    const answer = await this.#keepAlive();
    if (this.#state !== 'held') return;
    if (answer === 'expired') this.#lose(`etcd ended the lease on ${this.key}`);
    else if (answer === 'renewed') this.#renewed(sentAtMs);
    else this.#scheduleRenewal(this.#grant.ttlMs / 15);
  }

  async #keepAlive(): Promise<'renewed' | 'expired' | 'no answer'> {
    const { client, clock, callTimeoutMs } = this.#connection;
    const deadline = clock.now() + Math.min(callTimeoutMs, this.#grant.ttlMs / 3);
    const stream = await client.leaseClient.leaseKeepAlive({ deadline }).catch(() => undefined);
    if (stream === undefined) return 'no answer';
    return new Promise((resolve) => {
      const noAnswer = (): void => {
        resolve('no answer');
      };
      stream
        .on('data', ({ TTL }) => {
          resolve(Number(TTL) > 0 ? 'renewed' : 'expired');
          stream.cancel();
        })
        .on('error', noAnswer)
        .on('end', noAnswer);
      stream.write({ ID: this.#grant.id });
    });
  }

  #lose(reason: string): void {
    this.#state = 'lost';
    this.#cancelRenewal();
    this.#cancelExpiry();
    this.#resolveLost(reason);
    void this.#takeBack(REVOKE_ATTEMPTS_MAX);
  }

  async #takeBack(attemptsLeft: number): Promise<void> {
    if (this.#state === 'ended' || attemptsLeft === 0) return;
    try {
      await revokeEtcdLease(this.#connection, this.#grant);
    } catch {
      this.#cancelRenewal = this.#connection.clock.setTimer(
        this.#grant.ttlMs / 3,
        () => void this.#takeBack(attemptsLeft - 1),
      );
    }
  }
}

/** Ends a lease and deletes its keys; one that is gone already is fine. */
export async function revokeEtcdLease(
  connection: EtcdConnection,
  grant: EtcdLeaseGrant,
): Promise<void> {
  await connection.retry('revoke a lease', async () => {
    try {
      await connection.client.leaseClient.leaseRevoke({ ID: grant.id });
    } catch (error) {
      if (!(error instanceof EtcdLeaseInvalidError)) throw error;
    }
  });
}
