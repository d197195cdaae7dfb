/**
 * The embedded MetaStore: the default on one machine. All values in memory, every change in an
 * append-only log first; transactions that arrive while one batch is synced form the next, so many
 * writers share one sync. One process at a time: a lock on the folder. Must never answer a write
 * before it is on disk, nor show one that isn't.
 */
import { readFile, rename, rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import type { Clock } from '../core/clock.js';
import { MillraceError } from '../core/errors.js';
import { lockFolder, type FolderLock } from './folder-lock.js';
import { makeFolder, syncFolder } from './folder-sync.js';
import { describeIoError, isErrorCode } from './io-error.js';
import {
  encodeFrame,
  openLogFile,
  readFrames,
  type LogFile,
  type OpenLogFile,
} from './meta-log.js';
import { decodeBatch, MetaState, type MetaDraft } from './meta-state.js';
import {
  checkMetaKey,
  checkMetaTxn,
  deleteTxn,
  putTxn,
  type MetaCondition,
  type MetaEntry,
  type MetaEvent,
  type MetaLease,
  type MetaListener,
  type MetaStore,
  type MetaTxn,
  type MetaTxnResult,
  type MetaWatch,
} from './meta-store.js';

const LOG_NAME = 'meta.log';
const NEW_LOG_NAME = 'meta.log.new';
/** Most transactions that wait for a sync; a writer beyond that is told to come back. */
const PENDING_MAX = 1024;
/** Most transactions under one sync, so that a record stays small. */
const BATCH_MAX = 128;
/** A log is rewritten when it exceeds this and four times what it held when last rewritten. */
const COMPACT_AFTER_BYTES = 1024 * 1024;
const COMMIT_TIMEOUT_MS = 30_000;

export interface FileMetaStoreOptions {
  readonly clock: Clock;
  /** How long a write may wait for the disk. Default 30,000. */
  readonly commitTimeoutMs?: number;
  /** The smallest log that is rewritten. Default 1 MiB. */
  readonly compactAfterBytes?: number;
  /** Opens the log for writing. Default: the file system. */
  readonly openLog?: OpenLogFile;
}

interface Pending {
  readonly run: (draft: MetaDraft) => MetaTxnResult;
  readonly resolve: (result: MetaTxnResult) => void;
  readonly reject: (error: MillraceError) => void;
}

interface HeldLease {
  readonly lease: MetaLease;
  readonly lose: (reason: string) => void;
}

export class FileMetaStore implements MetaStore {
  /** Bytes of an unfinished, never acknowledged write that opening cut from the end of the log. */
  cutBytes = 0;
  readonly #folder: string;
  readonly #lock: FolderLock;
  readonly #options: Required<FileMetaStoreOptions>;
  readonly #state = new MetaState();
  readonly #watches = new Set<(event: MetaEvent) => void>();
  readonly #leases = new Set<HeldLease>();
  readonly #pending: Pending[] = [];
  #log: LogFile | undefined;
  #logBytes = 0;
  #compactAtBytes = 0;
  #committing: Promise<void> | undefined;
  /** Why nothing more can be written: after a failed sync the disk's content is unknown. */
  #broken: MillraceError | undefined;
  #closing: Promise<void> | undefined;

  private constructor(folder: string, lock: FolderLock, options: FileMetaStoreOptions) {
    this.#folder = folder;
    this.#lock = lock;
    this.#options = {
      commitTimeoutMs: COMMIT_TIMEOUT_MS,
      compactAfterBytes: COMPACT_AFTER_BYTES,
      openLog: openLogFile,
      ...options,
    };
  }

  /**
   * Opens the store in `folder`, which is created if it isn't there.
   * @throws MillraceError STORAGE_LOCKED if a live process holds the folder; STORAGE_CORRUPT if the
   *   log is damaged; STORAGE_UNAVAILABLE if the folder can't be read or written
   */
  static async open(folder: string, options: FileMetaStoreOptions): Promise<FileMetaStore> {
    const path = resolve(folder);
    try {
      await makeFolder(path);
    } catch (error) {
      throw describeIoError(error, path);
    }
    const store = new FileMetaStore(path, lockFolder(path), options);
    try {
      await store.#load();
    } catch (error) {
      await store.#log?.close();
      store.#lock.release();
      throw describeIoError(error, join(path, LOG_NAME));
    }
    return store;
  }

  async get(key: string): Promise<MetaEntry | undefined> {
    checkMetaKey(key);
    this.#checkUsable();
    return Promise.resolve(this.#state.get(key));
  }

  async list(prefix: string): Promise<readonly MetaEntry[]> {
    this.#checkUsable();
    return Promise.resolve(this.#state.list(prefix));
  }

  put(key: string, value: string, condition: MetaCondition): Promise<MetaTxnResult> {
    return this.txn(putTxn(key, value, condition));
  }

  delete(key: string, condition: { readonly ifRevision: number }): Promise<MetaTxnResult> {
    return this.txn(deleteTxn(key, condition));
  }

  async txn(txn: MetaTxn): Promise<MetaTxnResult> {
    checkMetaTxn(txn);
    return this.#submit((draft) => draft.run(txn));
  }

  /** The key lives until it is revoked or this process ends: `ttlMs` has nothing to add here. */
  async lease(key: string, value: string): Promise<MetaLease | undefined> {
    const txn = putTxn(key, value, { ifAbsent: true });
    checkMetaTxn(txn);
    const result = await this.#submit((draft) => draft.run(txn, true));
    return result.committed ? this.#holdLease(key, result.revision) : undefined;
  }

  async watch(prefix: string, listener: MetaListener): Promise<MetaWatch> {
    this.#checkUsable();
    let open = true;
    const deliver = (event: MetaEvent): void => {
      const key = event.type === 'put' ? event.entry.key : event.key;
      if (!key.startsWith(prefix)) return;
      // In a microtask, so that a listener that throws can't break the commit it hears of.
      queueMicrotask(() => {
        if (open) listener(event);
      });
    };
    this.#watches.add(deliver);
    const close = (): void => {
      open = false;
      this.#watches.delete(deliver);
    };
    return Promise.resolve({ snapshot: this.#state.list(prefix), close });
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    this.#watches.clear();
    if (this.#broken === undefined) {
      await Promise.allSettled([...this.#leases].map(({ lease }) => lease.revoke()));
    }
    while (this.#committing !== undefined) await this.#committing;
    this.#broken ??= unavailable(this.#folder, 'the store was closed', 'open it again');
    await this.#log?.close();
    this.#lock.release();
  }

  #holdLease(key: string, revision: number): MetaLease {
    let lose: (reason: string) => void = () => undefined;
    const lost = new Promise<string>((resolveLost) => (lose = resolveLost));
    const revoke = async (): Promise<void> => {
      this.#leases.delete(held);
      await this.#submit((draft) => draft.revoke(key, revision));
    };
    const held: HeldLease = { lease: { key, revision, lost, revoke }, lose };
    this.#leases.add(held);
    return held.lease;
  }

  #checkUsable(): void {
    if (this.#broken !== undefined) throw this.#broken;
  }

  async #submit(run: Pending['run']): Promise<MetaTxnResult> {
    this.#checkUsable();
    if (this.#pending.length >= PENDING_MAX) {
      const reason = `${PENDING_MAX} writes wait for the disk already`;
      throw unavailable(this.#folder, reason, 'try again later');
    }
    const { clock, commitTimeoutMs } = this.#options;
    return new Promise<MetaTxnResult>((resolveWrite, reject) => {
      const cancelTimer = clock.setTimer(commitTimeoutMs, () => {
        const reason = `the disk did not answer within ${commitTimeoutMs} ms`;
        reject(unavailable(this.#folder, reason, 'check the disk, and what the store holds'));
      });
      this.#pending.push({
        run,
        resolve: (result) => {
          cancelTimer();
          resolveWrite(result);
        },
        reject: (error) => {
          cancelTimer();
          reject(error);
        },
      });
      this.#committing ??= this.#commitAll();
    });
  }

  async #commitAll(): Promise<void> {
    // Lets the writers of this turn of the event loop share the first batch.
    await Promise.resolve();
    while (this.#pending.length > 0) {
      const batch = this.#pending.splice(0, BATCH_MAX);
      const draft = this.#state.draft();
      const results = batch.map((pending) => ({ pending, result: pending.run(draft) }));
      try {
        this.#checkUsable();
        if (draft.changes.length > 0) await this.#append(encodeFrame(draft.encode()));
      } catch (error) {
        const failure = describeIoError(error, join(this.#folder, LOG_NAME));
        for (const { pending } of results) pending.reject(failure);
        continue;
      }
      this.#state.apply(draft);
      for (const { event } of draft.changes) for (const deliver of this.#watches) deliver(event);
      for (const { pending, result } of results) pending.resolve(result);
      if (this.#logBytes > this.#compactAtBytes) await this.#compact();
    }
    this.#committing = undefined;
  }

  async #append(frame: Buffer): Promise<void> {
    const log = this.#openedLog();
    try {
      await log.write(frame, this.#logBytes);
    } catch (error) {
      // Nothing was acknowledged: take the part that was written off again and go on.
      await log.truncate(this.#logBytes).catch((cause: unknown) => this.#break(cause));
      throw error;
    }
    // A failed sync may have dropped what it could not write, and a second one would then succeed.
    await log.sync().catch((cause: unknown) => this.#break(cause));
    this.#logBytes += frame.length;
  }

  #break(cause: unknown): never {
    this.#broken = describeIoError(cause, join(this.#folder, LOG_NAME));
    for (const { lose } of this.#leases) lose(this.#broken.message);
    throw this.#broken;
  }

  #openedLog(): LogFile {
    if (this.#log === undefined) return this.#break(new Error('the log is not open'));
    return this.#log;
  }

  async #load(): Promise<void> {
    const path = join(this.#folder, LOG_NAME);
    await rm(join(this.#folder, NEW_LOG_NAME), { force: true });
    const bytes = await readFile(path).catch((error: unknown) => {
      if (isErrorCode(error, 'ENOENT')) return undefined;
      throw error;
    });
    if (bytes === undefined) {
      await this.#rewriteLog();
      return;
    }
    const { frames, soundBytes } = readFrames(bytes, path);
    if (frames.length === 0) {
      // A log is complete before it gets its name, so this one lost what it held.
      throw new MillraceError(
        'STORAGE_CORRUPT',
        `${path} is damaged at byte 0: its first record is missing; ` +
          `restore the file from a backup, or start with an empty data folder`,
      );
    }
    for (const { payload } of frames) this.#state.apply(decodeBatch(payload, path));
    this.#log = await this.#options.openLog(path);
    this.#logBytes = soundBytes;
    this.#compactAtBytes = this.#options.compactAfterBytes;
    this.cutBytes = bytes.length - soundBytes;
    if (this.cutBytes > 0) {
      await this.#log.truncate(soundBytes);
      await this.#log.sync();
    }
    await this.#dropLeasesOfTheDead();
  }

  async #dropLeasesOfTheDead(): Promise<void> {
    const keys = this.#state.leasedKeys;
    if (keys.length === 0) return;
    await this.#submit((draft) => {
      const writes = keys.map((key) => ({ type: 'delete' as const, key }));
      return draft.run({ guards: [], writes });
    });
  }

  async #compact(): Promise<void> {
    try {
      await this.#rewriteLog();
    } catch {
      // The old log still holds everything (else the store is broken, and says so at the next
      // write). Without room for a new one now, try again when it has grown by half.
      this.#compactAtBytes = this.#logBytes * 1.5;
      await rm(join(this.#folder, NEW_LOG_NAME), { force: true }).catch(() => undefined);
    }
  }

  /** Puts a log that holds just the present state in the place of the old one. */
  async #rewriteLog(): Promise<void> {
    const frame = encodeFrame(this.#state.encode());
    const newPath = join(this.#folder, NEW_LOG_NAME);
    const newLog = await this.#options.openLog(newPath);
    try {
      await newLog.truncate(0);
      await newLog.write(frame, 0);
      await newLog.sync();
      await rename(newPath, join(this.#folder, LOG_NAME));
    } catch (error) {
      await newLog.close();
      throw error;
    }
    const oldLog = this.#log;
    this.#log = newLog;
    this.#logBytes = frame.length;
    this.#compactAtBytes = Math.max(this.#options.compactAfterBytes, 4 * frame.length);
    await oldLog?.close();
    // Until the new name is on disk, a power loss would bring the old log back: write nothing more.
    await syncFolder(this.#folder).catch((cause: unknown) => this.#break(cause));
  }
}

function unavailable(folder: string, reason: string, remedy: string): MillraceError {
  return new MillraceError('STORAGE_UNAVAILABLE', `${folder}: ${reason}; ${remedy}`);
}
