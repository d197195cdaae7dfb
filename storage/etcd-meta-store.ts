/**
 * MetaStore on etcd: for clusters of several machines. Reads are linearizable, writes are etcd
 * transactions. A write whose answer was lost is tried again only if it compares every key that it
 * writes, so that it can't happen twice, and is recognised by its id if it had happened. Must never
 * report a conflict that could be its own write.
 */
import type { IResponseOp, ITxnRequest } from 'etcd3';
import { MillraceError } from '../core/errors.js';
import type { Random } from '../core/clock.js';
import { EtcdConnection, type EtcdConnectionOptions } from './etcd-connection.js';
import { EtcdKeyspace, type StoredEntry } from './etcd-keyspace.js';
import { EtcdLease, grantEtcdLease, revokeEtcdLease } from './etcd-lease.js';
import { EtcdWatch } from './etcd-watch.js';
import {
  checkMetaKey,
  checkMetaTxn,
  deleteTxn,
  guardHolds,
  putTxn,
  type MetaCondition,
  type MetaEntry,
  type MetaLease,
  type MetaListener,
  type MetaStore,
  type MetaTxn,
  type MetaTxnResult,
  type MetaWatch,
} from './meta-store.js';

/** etcd's id for "no lease". */
const NO_LEASE = '0';

export interface EtcdMetaStoreOptions extends EtcdConnectionOptions {
  readonly random: Pick<Random, 'id'>;
  /** Under which all keys lie; two clusters on one etcd need two. Default `/millrace/`. */
  readonly prefix?: string;
}

export class EtcdMetaStore implements MetaStore {
  readonly #connection: EtcdConnection;
  readonly #keyspace: EtcdKeyspace;
  readonly #random: Pick<Random, 'id'>;
  readonly #watches = new Set<EtcdWatch>();
  readonly #leases = new Set<EtcdLease>();
  #closing: Promise<void> | undefined;

  private constructor(options: EtcdMetaStoreOptions) {
    this.#connection = new EtcdConnection(options);
    this.#keyspace = new EtcdKeyspace(options.prefix ?? '/millrace/');
    this.#random = options.random;
  }

  /** @throws MillraceError STORAGE_UNAVAILABLE naming the endpoints if none answers */
  static async open(options: EtcdMetaStoreOptions): Promise<EtcdMetaStore> {
    const store = new EtcdMetaStore(options);
    try {
      await store.get('reachable');
      return store;
    } catch (error) {
      await store.close();
      throw error;
    }
  }

  async get(key: string): Promise<MetaEntry | undefined> {
    checkMetaKey(key);
    this.#checkOpen();
    const response = await this.#connection.retry(`read ${key}`, () =>
      this.#connection.client.kv.range({ key: this.#keyspace.key(key) }),
    );
    const stored = response.kvs[0];
    return stored === undefined ? undefined : this.#keyspace.decode(stored).entry;
  }

  async list(prefix: string): Promise<readonly MetaEntry[]> {
    this.#checkOpen();
    const response = await this.#connection.retry(`list ${prefix}`, () =>
      this.#connection.client.kv.range(this.#keyspace.range(prefix)),
    );
    return response.kvs.map((stored) => this.#keyspace.decode(stored).entry);
  }

  put(key: string, value: string, condition: MetaCondition): Promise<MetaTxnResult> {
    return this.txn(putTxn(key, value, condition));
  }

  delete(key: string, condition: { readonly ifRevision: number }): Promise<MetaTxnResult> {
    return this.txn(deleteTxn(key, condition));
  }

  async txn(txn: MetaTxn): Promise<MetaTxnResult> {
    checkMetaTxn(txn);
    this.#checkOpen();
    return this.#commit(txn, NO_LEASE);
  }

  async lease(key: string, value: string, ttlMs: number): Promise<MetaLease | undefined> {
    const txn = putTxn(key, value, { ifAbsent: true });
    checkMetaTxn(txn);
    this.#checkOpen();
    const grant = await grantEtcdLease(this.#connection, ttlMs);
    let result: MetaTxnResult | undefined;
    try {
      result = await this.#commit(txn, grant.id);
    } finally {
      // Without a key it is of no use; if that fails it expires by itself.
      if (result?.committed !== true) {
        await revokeEtcdLease(this.#connection, grant).catch(() => undefined);
      }
    }
    if (!result.committed) return undefined;
    const lease = new EtcdLease(key, result.revision, this.#connection, grant);
    this.#leases.add(lease);
    const revoke = (): Promise<void> => {
      this.#leases.delete(lease);
      return lease.revoke();
    };
    return { key, revision: lease.revision, lost: lease.lost, revoke };
  }

  async watch(prefix: string, listener: MetaListener): Promise<MetaWatch> {
    this.#checkOpen();
    const watch = await EtcdWatch.start(this.#connection, this.#keyspace, prefix, listener);
    this.#watches.add(watch);
    const close = (): void => {
      this.#watches.delete(watch);
      watch.close();
    };
    return { snapshot: watch.snapshot, close };
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    // An open watch or lease would keep the process alive after the client is closed.
    for (const watch of this.#watches) watch.close();
    await Promise.allSettled([...this.#leases].map((lease) => lease.revoke()));
    this.#connection.close();
  }

  #checkOpen(): void {
    if (this.#closing === undefined) return;
    throw new MillraceError('STORAGE_UNAVAILABLE', 'the meta store was closed; open it again');
  }

  #commit(txn: MetaTxn, leaseId: string): Promise<MetaTxnResult> {
    const writeId = this.#random.id();
    const what = `write ${txn.writes.map(({ key }) => key).join(', ')}`;
    const request = this.#request(txn, writeId, leaseId);
    const attempt = async (afterLostAnswer: boolean): Promise<MetaTxnResult> => {
      const response = await this.#connection.client.kv.txn(request);
      if (response.succeeded) {
        return { committed: true, revision: Number(response.header.revision) };
      }
      const found = this.#found(response.responses);
      return afterLostAnswer ? ownWrite(what, found, writeId) : conflict(txn, found);
    };
    return isRepeatable(txn)
      ? this.#connection.retry(what, attempt)
      : this.#connection.once(what, () => attempt(false));
  }

  /** If a guard fails, the same transaction reads all keys concerned: who was it? */
  #request(txn: MetaTxn, writeId: string, leaseId: string): ITxnRequest {
    const keys = new Set([...txn.guards, ...txn.writes].map(({ key }) => key));
    return {
      compare: txn.guards.map((guard) => this.#keyspace.compare(guard)),
      success: txn.writes.map((write) => this.#keyspace.operation(write, writeId, leaseId)),
      failure: [...keys].map((key) => ({ request_range: { key: this.#keyspace.key(key) } })),
    };
  }

  #found(responses: readonly IResponseOp[]): ReadonlyMap<string, StoredEntry> {
    const found = responses
      .flatMap((response) => response.response_range.kvs)
      .map((stored) => this.#keyspace.decode(stored));
    return new Map(found.map((stored) => [stored.entry.key, stored]));
  }
}

/** Whether a transaction can't happen twice: it compares the revision of each key that it writes. */
function isRepeatable(txn: MetaTxn): boolean {
  return txn.writes.every(({ key }) =>
    txn.guards.some((guard) => guard.key === key && !('createRevision' in guard)),
  );
}

function conflict(txn: MetaTxn, found: ReadonlyMap<string, StoredEntry>): MetaTxnResult {
  const conflicts = txn.guards
    .filter((guard) => !guardHolds(guard, found.get(guard.key)?.entry))
    .map((guard) => guard.key);
  return { committed: false, conflicts: [...new Set(conflicts)] };
}

/**
 * What became of a write whose answer was lost and whose repetition conflicts: ours if a key carries
 * its id. Otherwise another writer may have come before it, or after it: that can't be told.
 */
function ownWrite(
  what: string,
  found: ReadonlyMap<string, StoredEntry>,
  writeId: string,
): MetaTxnResult {
  for (const stored of found.values()) {
    if (stored.writeId === writeId) return { committed: true, revision: stored.entry.revision };
  }
  throw new MillraceError(
    'STORAGE_UNAVAILABLE',
    `etcd lost the answer to "${what}", and another writer has changed these keys since; ` +
      `read them before going on`,
  );
}
