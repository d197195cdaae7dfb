/**
 * What survives every crash of the coordinator: its meta store and its blob store, in memory. An
 * operation takes effect some time after it was asked for; one that is under way when its process dies
 * has happened or has not. After every change the oracle looks: what is retained must be whole.
 */
import { isMillraceError, MillraceError } from '../../core/errors.js';
import {
  BlobDigest,
  checkBlob,
  checkBlobKey,
  type BlobExpectation,
  type BlobHandle,
  type BlobStore,
} from '../../storage/blob-store.js';
import { MetaState } from '../../storage/meta-state.js';
import {
  checkMetaTxn,
  deleteTxn,
  putTxn,
  type MetaStore,
  type MetaTxn,
  type MetaTxnResult,
} from '../../storage/meta-store.js';
import type { EventLoop, SimulatedProcess } from '../simulation/event-loop.js';

interface Operation {
  readonly owner: SimulatedProcess;
  readonly apply: () => void;
}

/** Told of every change, after it. */
export interface StoreOracle {
  metaChanged(keys: readonly string[]): void;
  blobDeleted(key: string): void;
}

export interface Stores {
  readonly meta: MetaStore;
  readonly blobs: BlobStore;
}

export class DurableStores {
  readonly blobs = new Map<string, Uint8Array>();
  readonly meta = new MetaState();
  /** Chance that a write fails: before it takes effect, or only its answer. */
  failureChance = 0;
  readonly #loop: EventLoop;
  readonly #oracle: StoreOracle;
  readonly #underWay = new Set<Operation>();

  constructor(loop: EventLoop, oracle: StoreOracle) {
    this.#loop = loop;
    this.#oracle = oracle;
  }

  /** Ends a process; what it had asked for has happened, or never will. */
  kill(owner: SimulatedProcess): void {
    owner.kill();
    for (const operation of this.#underWay) {
      if (operation.owner !== owner) continue;
      this.#underWay.delete(operation);
      if (this.#loop.random.chance(0.5)) operation.apply();
    }
  }

  /** As one process sees them. */
  of(owner: SimulatedProcess): Stores {
    return { meta: this.#metaOf(owner), blobs: this.#blobsOf(owner) };
  }

  /** Bytes of a blob, if they are what is expected. */
  verify(key: string, expected: BlobExpectation): Uint8Array | string {
    const bytes = this.blobs.get(key);
    if (bytes === undefined) return `${key} is gone`;
    try {
      checkBlob(key, describe(bytes), expected);
    } catch (error) {
      return isMillraceError(error) ? error.message : String(error);
    }
    return bytes;
  }

  #perform<T>(owner: SimulatedProcess, isWrite: boolean, apply: () => T): Promise<T> {
    const { random } = this.#loop;
    const fails = isWrite && random.chance(this.failureChance);
    const happens = !fails || random.chance(0.5);
    return new Promise((resolve, reject) => {
      const operation: Operation = {
        owner,
        apply: () => {
          if (happens && isWrite) apply();
        },
      };
      this.#underWay.add(operation);
      this.#loop.schedule(0.1 + random.next() * 3, owner, () => {
        if (!this.#underWay.delete(operation)) return;
        try {
          if (!fails) return resolve(apply());
          if (happens) apply();
          throw unavailable();
        } catch (error) {
          reject(error instanceof Error ? error : new Error(String(error)));
        }
      });
    });
  }

  #metaOf(owner: SimulatedProcess): MetaStore {
    const run = (txn: MetaTxn): MetaTxnResult => {
      checkMetaTxn(txn);
      const draft = this.meta.draft();
      const result = draft.run(txn);
      this.meta.apply(draft);
      if (result.committed) this.#oracle.metaChanged(txn.writes.map(({ key }) => key));
      return result;
    };
    const write = (txn: MetaTxn): Promise<MetaTxnResult> =>
      this.#perform(owner, true, () => run(txn));
    return {
      get: (key) => this.#perform(owner, false, () => this.meta.get(key)),
      list: (prefix) => this.#perform(owner, false, () => this.meta.list(prefix)),
      put: (key, value, condition) => write(putTxn(key, value, condition)),
      delete: (key, condition) => write(deleteTxn(key, condition)),
      txn: write,
      lease: (key, value) => {
        const result = run(putTxn(key, value, { ifAbsent: true }));
        if (!result.committed) return Promise.resolve(undefined);
        const lost = new Promise<string>(() => undefined);
        const revoke = (): Promise<void> => Promise.resolve();
        return Promise.resolve({ key, revision: result.revision, lost, revoke });
      },
      watch: () => Promise.reject(new Error('nobody watches here')),
      close: () => Promise.resolve(),
    };
  }

  #blobsOf(owner: SimulatedProcess): BlobStore {
    const get = (key: string, expected?: BlobExpectation): Promise<Uint8Array> =>
      this.#perform(owner, false, () => {
        const bytes = this.blobs.get(key);
        if (bytes === undefined) {
          throw new MillraceError('BLOB_NOT_FOUND', `${key} does not exist; use another`);
        }
        if (expected !== undefined) checkBlob(key, describe(bytes), expected);
        return bytes;
      });
    const list = (prefix: string): Promise<readonly BlobHandle[]> =>
      this.#perform(owner, false, () =>
        [...this.blobs]
          .filter(([key]) => key.startsWith(prefix))
          .map(([key, bytes]) => ({ key, ...describe(bytes) }))
          .sort((left, right) => (left.key < right.key ? -1 : 1)),
      );
    const remove = (key: string): Promise<void> =>
      this.#perform(owner, true, () => {
        if (this.blobs.delete(key)) this.#oracle.blobDeleted(key);
      });
    return {
      put: (key, data, options) => {
        checkBlobKey(key);
        if (!(data instanceof Uint8Array)) return Promise.reject(new Error('bytes are put here'));
        const bytes = data.slice();
        return this.#perform(owner, true, () => {
          if (options?.ifAbsent === true && this.blobs.has(key)) {
            throw new MillraceError('STORAGE_CONFLICT', `${key} exists already; use another`);
          }
          this.blobs.set(key, bytes);
          return { key, ...describe(bytes) };
        });
      },
      get,
      list: async function* (prefix) {
        yield* await list(prefix);
      },
      delete: remove,
      deleteAll: async (keys) => {
        for await (const key of keys) await remove(key);
      },
      removeUnfinished: () => Promise.resolve(),
    };
  }
}

function describe(bytes: Uint8Array): BlobExpectation {
  const digest = new BlobDigest();
  digest.update(bytes);
  return digest.finish();
}

function unavailable(): MillraceError {
  return new MillraceError('STORAGE_UNAVAILABLE', 'no answer; try again');
}
