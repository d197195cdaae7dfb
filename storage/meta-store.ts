/**
 * The seam to small, strongly consistent values: checkpoint ids, the completed-checkpoint pointer,
 * job records, worker leases, the coordinator's election. Two implementations pass one contract
 * suite: `FileMetaStore` (embedded) and `EtcdMetaStore`. This file holds types and the checks that
 * both share; it must never know which implementation is behind the seam.
 *
 * Revisions: one counter for the whole store, durable and only ever growing. Each transaction that
 * changes something takes the next one and stamps every key it writes with it.
 */
import { invariant } from '../core/errors.js';

/** Longest key, in UTF-8 bytes. */
export const META_KEY_BYTES_MAX = 512;
/** Largest value, in UTF-8 bytes; etcd refuses requests above 1.5 MiB. Anything big is a blob. */
export const META_VALUE_BYTES_MAX = 1024 * 1024;
/** Most guards, and most writes, in one transaction; etcd's default limit. */
export const META_TXN_OPS_MAX = 128;

/** A key with its value. `revision` is that of its last write, `createRevision` that of its birth. */
export interface MetaEntry {
  readonly key: string;
  readonly value: string;
  readonly revision: number;
  readonly createRevision: number;
}

/** What must hold about a key for a transaction to commit. */
export type MetaGuard =
  | { readonly key: string; readonly absent: true }
  | { readonly key: string; readonly revision: number }
  | { readonly key: string; readonly createRevision: number };

/** One write of a transaction. Deleting an absent key changes nothing. */
export type MetaWrite =
  | { readonly type: 'put'; readonly key: string; readonly value: string }
  | { readonly type: 'delete'; readonly key: string };

/** All guards hold, then all writes happen, as one; no key is written twice in one transaction. */
export interface MetaTxn {
  readonly guards: readonly MetaGuard[];
  readonly writes: readonly MetaWrite[];
}

/** `conflicts` names the keys whose guards did not hold; then nothing was written. */
export type MetaTxnResult =
  | { readonly committed: true; readonly revision: number }
  | { readonly committed: false; readonly conflicts: readonly string[] };

/** The compare in a compare-and-set on one key. */
export type MetaCondition = { readonly ifAbsent: true } | { readonly ifRevision: number };

/** A change, as a watch delivers it. */
export type MetaEvent =
  | { readonly type: 'put'; readonly entry: MetaEntry }
  | { readonly type: 'delete'; readonly key: string; readonly revision: number };

/** Called once a change, in order of revision. It must not throw: that ends the process. */
export type MetaListener = (event: MetaEvent) => void;

/** A running watch. */
export interface MetaWatch {
  /** What stood under the prefix when the watch began, by key; every later change is an event. */
  readonly snapshot: readonly MetaEntry[];
  /** Ends the watch. No event is delivered after this call returns. */
  close(): void;
}

/**
 * A key that lives while its owner does: a hint of liveness, never mutual exclusion. Renewed by
 * itself until it is revoked, lost, or the store is closed (which revokes it).
 */
export interface MetaLease {
  readonly key: string;
  /** The create revision of the key. */
  readonly revision: number;
  /**
   * Resolves with the reason once the lease can no longer be relied on; never after `revoke()`.
   * By the owner's monotonic clock this is before anyone else can see the key vanish.
   */
  readonly lost: Promise<string>;
  /** Deletes the key if the lease still holds it. */
  revoke(): Promise<void>;
}

/**
 * Every call ends within a deadline and fails with MillraceError STORAGE_UNAVAILABLE if the store
 * can't answer. For a write this means that it may or may not have happened: read before going on.
 * A conflict is not an error, it is a result.
 */
export interface MetaStore {
  get(key: string): Promise<MetaEntry | undefined>;
  /** All entries whose key begins with `prefix`, ordered by key. */
  list(prefix: string): Promise<readonly MetaEntry[]>;
  put(key: string, value: string, condition: MetaCondition): Promise<MetaTxnResult>;
  delete(key: string, condition: { readonly ifRevision: number }): Promise<MetaTxnResult>;
  txn(txn: MetaTxn): Promise<MetaTxnResult>;
  /**
   * Creates `key` for as long as this process lives and renews it. A plain `put` on it makes it an
   * ordinary key.
   * @param ttlMs how long the key outlives a dead owner; at least 1000, rounded up to seconds
   * @returns undefined if the key exists already
   */
  lease(key: string, value: string, ttlMs: number): Promise<MetaLease | undefined>;
  /** Delivers every change under `prefix` after the snapshot, in order, none twice. */
  watch(prefix: string, listener: MetaListener): Promise<MetaWatch>;
  /** Ends watches, revokes leases, answers what is under way. Later calls fail. */
  close(): Promise<void>;
}

/** The transaction of a compare-and-set put. */
export function putTxn(key: string, value: string, condition: MetaCondition): MetaTxn {
  return { guards: [guardOf(key, condition)], writes: [{ type: 'put', key, value }] };
}

/** The transaction of a compare-and-set delete. */
export function deleteTxn(key: string, condition: { readonly ifRevision: number }): MetaTxn {
  return { guards: [guardOf(key, condition)], writes: [{ type: 'delete', key }] };
}

function guardOf(key: string, condition: MetaCondition): MetaGuard {
  return 'ifAbsent' in condition ? { key, absent: true } : { key, revision: condition.ifRevision };
}

/** Whether a guard holds for the entry that stands under its key now. */
export function guardHolds(guard: MetaGuard, entry: MetaEntry | undefined): boolean {
  if ('absent' in guard) return entry === undefined;
  if ('revision' in guard) return entry?.revision === guard.revision;
  return entry?.createRevision === guard.createRevision;
}

/** @throws MillraceError INTERNAL if a key is empty, too long or holds control characters */
export function checkMetaKey(key: string): void {
  const lengthBytes = Buffer.byteLength(key);
  invariant(lengthBytes > 0, 'a meta key is not empty');
  invariant(lengthBytes <= META_KEY_BYTES_MAX, `meta key of ${lengthBytes} bytes is too long`);
  // eslint reads a control-character class as a slip; a comparison says the same.
  invariant(
    Array.from(key).every((character) => character >= ' ' && character !== '\u007f'),
    `meta key ${JSON.stringify(key)} holds a control character`,
  );
}

/** @throws MillraceError INTERNAL if a transaction is too large, or writes one key twice */
export function checkMetaTxn(txn: MetaTxn): void {
  invariant(txn.guards.length <= META_TXN_OPS_MAX, 'a meta transaction has too many guards');
  invariant(txn.writes.length <= META_TXN_OPS_MAX, 'a meta transaction has too many writes');
  const written = new Set<string>();
  for (const guard of txn.guards) checkMetaKey(guard.key);
  for (const write of txn.writes) {
    checkMetaKey(write.key);
    invariant(!written.has(write.key), `a meta transaction writes ${write.key} twice`);
    written.add(write.key);
    if (write.type === 'put') {
      const lengthBytes = Buffer.byteLength(write.value);
      invariant(
        lengthBytes <= META_VALUE_BYTES_MAX,
        `value of ${lengthBytes} bytes under ${write.key} is too large for the meta store`,
      );
    }
  }
}
