/**
 * BlobStore on the file system: a blob is a file whose path is its key. Written beside under a
 * temporary name, synced, renamed, the folder synced: so a name never stands for half a file, not
 * even after a power loss. Several processes may share a folder. Must never delete a temporary file
 * whose writer may live.
 */
import { open, link, opendir, readdir, rename, rm, rmdir, stat, unlink } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { threadId } from 'node:worker_threads';
import { invariant, MillraceError } from '../core/errors.js';
import {
  BlobDigest,
  checkBlob,
  checkBlobKey,
  type BlobData,
  type BlobExpectation,
  type BlobHandle,
  type BlobListing,
  type BlobPutOptions,
  type BlobStore,
} from './blob-store.js';
import { makeFolder, syncFolder } from './folder-sync.js';
import { describeIoError, isErrorCode } from './io-error.js';
import {
  formatProcessIdentity,
  identifyProcess,
  isProcessAlive,
  parseProcessIdentity,
} from './process-identity.js';

/** Holds files being written; no key begins with a dot, so it is never listed. */
const TEMPORARY_FOLDER = '.tmp';
/** A folder may vanish, emptied by a delete, between its making and its use; this often at most. */
const PLACE_ATTEMPTS_MAX = 5;

/** Distinct for every file that this module instance writes; the thread id tells instances apart. */
let temporaryCount = 0;

export class FileBlobStore implements BlobStore {
  readonly #folder: string;
  readonly #temporaryPrefix: string;

  private constructor(folder: string, temporaryPrefix: string) {
    this.#folder = folder;
    this.#temporaryPrefix = temporaryPrefix;
  }

  /**
   * Opens the store in `folder`, which is created if it isn't there, and removes what dead
   * processes of this machine left half written.
   */
  static async open(folder: string): Promise<FileBlobStore> {
    const path = resolve(folder);
    const self = identifyProcess(process.pid);
    invariant(self !== undefined, 'a process can identify itself');
    const prefix = join(path, TEMPORARY_FOLDER, `${formatProcessIdentity(self)}@${threadId}-`);
    try {
      await makeFolder(dirname(prefix));
      await removeLeftovers(dirname(prefix));
    } catch (error) {
      throw describeIoError(error, path);
    }
    return new FileBlobStore(path, prefix);
  }

  async put(key: string, data: BlobData, options: BlobPutOptions = {}): Promise<BlobHandle> {
    const path = this.#pathOf(key);
    temporaryCount += 1;
    const temporary = this.#temporaryPrefix + String(temporaryCount);
    try {
      const written = await writeFileDurably(temporary, data);
      await place(temporary, path, options.ifAbsent === true);
      return { key, ...written };
    } catch (error) {
      await rm(temporary, { force: true }).catch(() => undefined);
      if (isErrorCode(error, 'EEXIST') && options.ifAbsent === true) {
        throw new MillraceError(
          'STORAGE_CONFLICT',
          `${path} exists already; delete it first, or use another key`,
        );
      }
      // What the given data threw is not about storage.
      throw isSystemError(error) ? describeIoError(error, path) : error;
    }
  }

  async get(key: string, expected?: BlobExpectation): Promise<Uint8Array> {
    const path = this.#pathOf(key);
    const digest = new BlobDigest();
    const blob = await readWhole(path, digest).catch((error: unknown) => {
      throw isErrorCode(error, 'ENOENT', 'ENOTDIR') ? notFound(path) : describeIoError(error, path);
    });
    if (blob === undefined) throw notFound(path);
    if (expected !== undefined) checkBlob(path, digest.finish(), expected);
    return blob;
  }

  async *list(prefix: string): AsyncGenerator<BlobListing, void, undefined> {
    try {
      yield* this.#listFolder('', prefix);
    } catch (error) {
      throw describeIoError(error, this.#folder);
    }
  }

  async delete(key: string): Promise<void> {
    await this.deleteAll([key]);
  }

  async deleteAll(keys: Iterable<string> | AsyncIterable<string>): Promise<void> {
    const folders = new Set<string>();
    for await (const key of keys) {
      const path = this.#pathOf(key);
      try {
        await unlink(path);
      } catch (error) {
        if (isErrorCode(error, 'ENOENT', 'ENOTDIR', 'EISDIR')) continue;
        throw describeIoError(error, path);
      }
      folders.add(dirname(path));
    }
    for (const folder of folders) {
      await syncFolder(folder)
        .catch(ifGone(undefined))
        .catch((error: unknown) => {
          throw describeIoError(error, folder);
        });
      await this.#removeEmptyFolders(folder);
    }
  }

  /** What dead processes of this machine left, whatever blobs they were writing. */
  async removeUnfinished(): Promise<void> {
    const folder = dirname(this.#temporaryPrefix);
    try {
      await removeLeftovers(folder);
    } catch (error) {
      throw describeIoError(error, folder);
    }
  }

  #pathOf(key: string): string {
    checkBlobKey(key);
    return join(this.#folder, key);
  }

  async *#listFolder(above: string, prefix: string): AsyncGenerator<BlobListing, void, undefined> {
    const names = await readdir(join(this.#folder, above), { withFileTypes: true }).catch(
      ifGone([]),
    );
    const children = names
      .filter((child) => !child.name.startsWith('.'))
      .map((child) => ({
        // With its slash a folder sorts where its keys do.
        key: above + child.name + (child.isDirectory() ? '/' : ''),
        isFolder: child.isDirectory(),
      }))
      .sort((left, right) => (left.key < right.key ? -1 : 1));
    for (const { key, isFolder } of children) {
      if (isFolder) {
        if (key.startsWith(prefix) || prefix.startsWith(key)) yield* this.#listFolder(key, prefix);
      } else if (key.startsWith(prefix)) {
        const found = await stat(join(this.#folder, key)).catch(ifGone(undefined));
        if (found !== undefined) yield { key, lengthBytes: found.size };
      }
    }
  }

  async #removeEmptyFolders(folder: string): Promise<void> {
    for (let empty = folder; empty !== this.#folder; empty = dirname(empty)) {
      try {
        await rmdir(empty);
      } catch {
        // Not empty, or removed by another: either way the folders above are not ours to remove.
        return;
      }
    }
  }
}

/** As long as it is now; undefined: it is a folder. */
async function readWhole(path: string, digest: BlobDigest): Promise<Uint8Array | undefined> {
  const file = await open(path, 'r');
  try {
    const stats = await file.stat();
    if (!stats.isFile()) return undefined;
    const { size } = stats;
    // Not from the pool of small buffers: who keeps this keeps nothing else.
    const bytes = Buffer.allocUnsafeSlow(size);
    let length = 0;
    while (length < size) {
      const { bytesRead } = await file.read(bytes, length, size - length);
      if (bytesRead === 0) break;
      digest.update(bytes.subarray(length, length + bytesRead));
      length += bytesRead;
    }
    return bytes.subarray(0, length);
  } finally {
    await file.close();
  }
}

async function writeFileDurably(path: string, data: BlobData): Promise<BlobExpectation> {
  const digest = new BlobDigest();
  const file = await open(path, 'wx');
  try {
    for await (const piece of data instanceof Uint8Array ? [data] : data) {
      digest.update(piece);
      await file.writeFile(piece);
    }
    await file.sync();
  } finally {
    await file.close();
  }
  return digest.finish();
}

async function place(temporary: string, path: string, ifAbsent: boolean): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      await makeFolder(dirname(path));
      // A link, unlike a rename, refuses to replace.
      if (ifAbsent) await link(temporary, path);
      else await rename(temporary, path);
      break;
    } catch (error) {
      if (!isErrorCode(error, 'ENOENT') || attempt === PLACE_ATTEMPTS_MAX) throw error;
    }
  }
  if (ifAbsent) await unlink(temporary);
  await syncFolder(dirname(path));
}

async function removeLeftovers(folder: string): Promise<void> {
  for await (const { name } of await opendir(folder)) {
    const writer = parseProcessIdentity(name.slice(0, name.lastIndexOf('@')));
    if (writer === undefined || isProcessAlive(writer)) continue;
    await rm(join(folder, name), { force: true });
  }
}

/** For a `catch`: what vanished while it was being listed counts as `otherwise`. */
function ifGone<T>(otherwise: T): (error: unknown) => T {
  return (error) => {
    if (isErrorCode(error, 'ENOENT', 'ENOTDIR')) return otherwise;
    throw error;
  };
}

function isSystemError(error: unknown): boolean {
  return error instanceof Error && 'syscall' in error;
}

function notFound(path: string): MillraceError {
  return new MillraceError(
    'BLOB_NOT_FOUND',
    `${path} does not exist; check the storage folder, or use an older checkpoint`,
  );
}
