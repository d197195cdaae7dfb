/**
 * What `FileMetaStore` holds in memory, and how a transaction changes it. Pure: a draft collects the
 * changes of a batch over the state, and the state takes them only once they are on disk. Must never
 * let a reader see a change that could still fail.
 */
import { MillraceError } from '../core/errors.js';
import type { MetaEntry, MetaEvent, MetaTxn, MetaTxnResult } from './meta-store.js';
import { guardHolds } from './meta-store.js';

const FORMAT = 1;

/** A change as the log keeps it; `leased` keys die with the process that wrote them. */
interface LoggedChange {
  readonly event: MetaEvent;
  readonly leased: boolean;
}

interface LoggedBatch {
  readonly format: number;
  readonly revision: number;
  readonly changes: readonly LoggedChange[];
}

export class MetaState {
  #revision = 0;
  readonly #entries = new Map<string, MetaEntry>();
  readonly #leased = new Set<string>();

  get revision(): number {
    return this.#revision;
  }

  get leasedKeys(): readonly string[] {
    return [...this.#leased];
  }

  get(key: string): MetaEntry | undefined {
    return this.#entries.get(key);
  }

  isLeased(key: string): boolean {
    return this.#leased.has(key);
  }

  list(prefix: string): readonly MetaEntry[] {
    return [...this.#entries.values()]
      .filter((entry) => entry.key.startsWith(prefix))
      .sort((left, right) => Buffer.compare(Buffer.from(left.key), Buffer.from(right.key)));
  }

  draft(): MetaDraft {
    return new MetaDraft(this);
  }

  /** Takes over what a draft, or a batch read from the log, changed. */
  apply(batch: { readonly revision: number; readonly changes: readonly LoggedChange[] }): void {
    for (const { event, leased } of batch.changes) {
      const key = event.type === 'put' ? event.entry.key : event.key;
      if (event.type === 'put') this.#entries.set(key, event.entry);
      else this.#entries.delete(key);
      if (leased) this.#leased.add(key);
      else this.#leased.delete(key);
    }
    this.#revision = batch.revision;
  }

  /** The whole state as one batch: the first record of every log. */
  encode(): string {
    const changes = this.list('').map((entry) => ({
      event: { type: 'put' as const, entry },
      leased: this.isLeased(entry.key),
    }));
    return encodeBatch(this.#revision, changes);
  }
}

/** The changes of one batch of transactions over a state that doesn't see them yet. */
export class MetaDraft {
  readonly changes: LoggedChange[] = [];
  revision: number;
  readonly #state: MetaState;
  readonly #overlay = new Map<string, { entry: MetaEntry | undefined; leased: boolean }>();

  constructor(state: MetaState) {
    this.#state = state;
    this.revision = state.revision;
  }

  /** Runs one transaction; with `leased`, the keys that it puts die with this process. */
  run(txn: MetaTxn, leased = false): MetaTxnResult {
    const conflicts = txn.guards
      .filter((guard) => !guardHolds(guard, this.#get(guard.key)))
      .map((guard) => guard.key);
    if (conflicts.length > 0) return { committed: false, conflicts: [...new Set(conflicts)] };
    const revision = this.revision + 1;
    for (const write of txn.writes) {
      const current = this.#get(write.key);
      if (write.type === 'put') {
        const createRevision = current?.createRevision ?? revision;
        const entry = { key: write.key, value: write.value, revision, createRevision };
        this.#change({ event: { type: 'put', entry }, leased }, write.key, entry);
        this.revision = revision;
      } else if (current !== undefined) {
        this.#delete(write.key, revision);
      }
    }
    return { committed: true, revision: this.revision };
  }

  /** Deletes `key` if the lease that created it at `createRevision` still holds it. */
  revoke(key: string, createRevision: number): MetaTxnResult {
    const leased = this.#overlay.get(key)?.leased ?? this.#state.isLeased(key);
    if (leased && this.#get(key)?.createRevision === createRevision) {
      this.#delete(key, this.revision + 1);
    }
    return { committed: true, revision: this.revision };
  }

  encode(): string {
    return encodeBatch(this.revision, this.changes);
  }

  #get(key: string): MetaEntry | undefined {
    const drafted = this.#overlay.get(key);
    return drafted === undefined ? this.#state.get(key) : drafted.entry;
  }

  #delete(key: string, revision: number): void {
    const event: MetaEvent = { type: 'delete', key, revision };
    this.#change({ event, leased: false }, key, undefined);
    this.revision = revision;
  }

  #change(change: LoggedChange, key: string, entry: MetaEntry | undefined): void {
    this.changes.push(change);
    this.#overlay.set(key, { entry, leased: change.leased });
  }
}

function encodeBatch(revision: number, changes: readonly LoggedChange[]): string {
  return JSON.stringify({ format: FORMAT, revision, changes } satisfies LoggedBatch);
}

/**
 * @param payload one record that already passed its checksum, so its shape is ours
 * @param path only for messages
 * @throws MillraceError VERSION_MISMATCH if another version of Millrace wrote it
 */
export function decodeBatch(payload: Buffer, path: string): LoggedBatch {
  const batch = JSON.parse(payload.toString()) as LoggedBatch;
  if (batch.format === FORMAT) return batch;
  throw new MillraceError(
    'VERSION_MISMATCH',
    `${path} has format ${batch.format}, this Millrace reads format ${FORMAT}; ` +
      `start the version that wrote it, or give this one another data folder`,
  );
}
