/**
 * One RocksDB database with promises in the place of callbacks and errors that name its folder. The
 * package writes its log without syncing, which is right for scratch space. It must never be called
 * from a slot's thread: reads come back through the event loop, which operators don't wait for.
 */
import { statfsSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { MillraceError } from '../../../core/errors.js';
import { createFolder } from '../../../storage/create-folder.js';
import { describeIoError } from '../../../storage/io-error.js';
import type { ByteRange, DatabaseStatistics } from './cold-database.js';
import type { ColdBudget } from './cold-budget.js';
import { describeDatabaseError } from './database-error.js';
import { bufferOf } from './packed-bytes.js';

type Callback<T> = (error: Error | null | undefined, value: T) => void;

interface RocksRange {
  readonly gte: Buffer;
  readonly lt: Buffer;
}

interface RocksBatch {
  put(key: Buffer, value: Buffer): void;
  del(key: Buffer): void;
  write(callback: Callback<void>): void;
}

interface RocksIterator {
  next(callback: (error: Error | undefined, key?: Buffer, value?: Buffer) => void): void;
  end(callback: Callback<void>): void;
}

/** What is used here of the `rocksdb` package; its own types lack half of it. */
export interface Rocks {
  open(
    options: {
      readonly cacheSize: number;
      readonly writeBufferSize: number;
      readonly blockSize: number;
      readonly maxOpenFiles: number;
      readonly compression: boolean;
    },
    callback: Callback<void>,
  ): void;
  getMany(keys: readonly Buffer[], callback: Callback<(Buffer | undefined)[]>): void;
  batch(): RocksBatch;
  clear(options: RocksRange & { readonly limit: number }, callback: Callback<void>): void;
  iterator(
    options: RocksRange & {
      readonly values: boolean;
      readonly limit: number;
      readonly highWaterMark: number;
    },
  ): RocksIterator;
  approximateSize(from: Buffer, to: Buffer, callback: Callback<number>): void;
  getProperty(property: string): string;
}

/**
 * Loads the package's library. A process that has unloaded it once can't load it again, and it is
 * unloaded with the last thread that has it: the thread that starts state threads loads it too.
 * @throws MillraceError STATE_INVALID where it can't be loaded
 */
export function loadRocks(): (folder: string) => Rocks {
  try {
    return createRequire(import.meta.url)('rocksdb') as (folder: string) => Rocks;
  } catch (error) {
    throw new MillraceError(
      'STATE_INVALID',
      `the rocksdb package can't be loaded on this machine (${error instanceof Error ? error.message : String(error)}); reinstall it here, or give the job state: { backend: 'memory' }`,
      { cause: error },
    );
  }
}

/** A read unpacks one block. Measured: 4096 makes it 5% dearer, 1024 makes indexes twice as large. */
const BLOCK_BYTES = 2048;
/** cold-budget.ts says why there is none. */
const BLOCK_CACHE_BYTES = 0;
/** Each open file, of up to 64 MiB, keeps its index and filter in memory. */
const OPEN_FILES_MAX = 256;
/**
 * Free disk space below which nothing is written any more, in write buffers: the log and the files of
 * both. RocksDB itself must not meet a full disk: one time in ten it can't be closed after that.
 */
const FREE_BUFFERS_MIN = 4;
/** What one step of an iterator reads ahead. */
const READ_AHEAD_BYTES = 256 * 1024;
/** A page of rows ends once it exceeds this. */
const PAGE_BYTES_MAX = 1024 * 1024;

export interface RocksPage {
  /** Keys and, unless left out, values. */
  readonly rows: readonly (readonly [key: Buffer, value: Buffer])[];
  readonly more: boolean;
}

/** Deletes (a value of undefined) and puts. */
export type RocksWrite = readonly [key: Buffer, value: Buffer | undefined];

export class RocksDatabase {
  readonly #rocks: Rocks;
  readonly #folder: string;
  readonly #freeBytesMin: number;

  private constructor(rocks: Rocks, folder: string, freeBytesMin: number) {
    this.#rocks = rocks;
    this.#folder = folder;
    this.#freeBytesMin = freeBytesMin;
  }

  /**
   * An empty database; whatever an earlier life left in the folder is removed, locked or torn.
   * @throws MillraceError STORAGE_UNAVAILABLE naming the folder
   */
  static async open(folder: string, { writeBufferBytes }: ColdBudget): Promise<RocksDatabase> {
    try {
      await rm(folder, { recursive: true, force: true });
      await createFolder(folder);
    } catch (error) {
      throw describeIoError(error, folder);
    }
    const rocks = loadRocks()(folder);
    const database = new RocksDatabase(rocks, folder, FREE_BUFFERS_MIN * writeBufferBytes);
    await database.#call<void>((callback) =>
      rocks.open(
        {
          cacheSize: BLOCK_CACHE_BYTES,
          writeBufferSize: writeBufferBytes,
          blockSize: BLOCK_BYTES,
          maxOpenFiles: OPEN_FILES_MAX,
          compression: true,
        },
        callback,
      ),
    );
    return database;
  }

  getMany(keys: readonly Buffer[]): Promise<readonly (Buffer | undefined)[]> {
    return this.#call((callback) => this.#rocks.getMany(keys, callback));
  }

  /** All of them or none. */
  async write(rows: Iterable<RocksWrite>): Promise<void> {
    this.#checkSpace();
    const batch = this.#rocks.batch();
    for (const [key, value] of rows) {
      if (value === undefined) batch.del(key);
      else batch.put(key, value);
    }
    await this.#call<void>((callback) => batch.write(callback));
  }

  /** Deletes the first `rowsMax` rows of a range. */
  async deleteRange(range: ByteRange, rowsMax: number): Promise<void> {
    this.#checkSpace();
    await this.#call<void>((callback) =>
      this.#rocks.clear({ ...rocksRange(range), limit: limitOf(rowsMax) }, callback),
    );
  }

  /** The first rows of a range, ascending. */
  page(range: ByteRange, rowsMax: number, values = true): Promise<RocksPage> {
    const iterator = this.#rocks.iterator({
      ...rocksRange(range),
      values,
      limit: limitOf(rowsMax),
      highWaterMark: READ_AHEAD_BYTES,
    });
    return new Promise((resolve, reject) => {
      const rows: [Buffer, Buffer][] = [];
      let bytes = 0;
      const end = (more: boolean, failure?: Error): void => {
        iterator.end((endFailure) => {
          const error = failure ?? endFailure ?? undefined;
          if (error === undefined) resolve({ rows, more });
          else reject(this.#describe(error));
        });
      };
      const step = (): void => {
        iterator.next((error, key, value) => {
          if (error !== undefined && error !== null) end(false, error);
          else if (key === undefined || value === undefined) end(rows.length >= rowsMax);
          else {
            rows.push([key, value]);
            bytes += key.length + value.length;
            if (bytes > PAGE_BYTES_MAX) end(true);
            else step();
          }
        });
      };
      step();
    });
  }

  approximateBytes({ from, to }: ByteRange): Promise<number> {
    return this.#call((callback) =>
      this.#rocks.approximateSize(bufferOf(from), bufferOf(to), callback),
    );
  }

  statistics(): DatabaseStatistics {
    const number = (property: string): number =>
      Number(this.#rocks.getProperty(`rocksdb.${property}`)) || 0;
    return {
      diskBytes: number('total-sst-files-size'),
      keysEstimate: number('estimate-num-keys'),
      writeBufferBytes: number('cur-size-all-mem-tables'),
      tableBytes: number('estimate-table-readers-mem'),
    };
  }

  #checkSpace(): void {
    const freeBytes = freeBytesOf(this.#folder);
    if (freeBytes >= this.#freeBytesMin) return;
    throw new MillraceError(
      'STORAGE_UNAVAILABLE',
      `${this.#folder}: no space left on the device (${mib(freeBytes)} MiB free of the ${mib(this.#freeBytesMin)} MiB that the next writes may take); free some space, or start the worker with --data on a larger disk`,
    );
  }

  async #call<T>(start: (callback: Callback<T>) => void): Promise<T> {
    return new Promise((resolve, reject) => {
      start((error, value) => {
        if (error) reject(this.#describe(error));
        else resolve(value);
      });
    });
  }

  #describe(error: unknown): MillraceError {
    return describeDatabaseError(error, this.#folder);
  }
}

function rocksRange({ from, to }: ByteRange): RocksRange {
  return { gte: bufferOf(from), lt: bufferOf(to) };
}

/** The package counts in 32 bits; -1 is no limit. */
function limitOf(rowsMax: number): number {
  return rowsMax === Infinity ? -1 : rowsMax;
}

function freeBytesOf(folder: string): number {
  try {
    const { bavail, bsize } = statfsSync(folder);
    return bavail * bsize;
  } catch (error) {
    throw describeIoError(error, folder);
  }
}

function mib(bytes: number): number {
  return Math.floor(bytes / (1024 * 1024));
}
