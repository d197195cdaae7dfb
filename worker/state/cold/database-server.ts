/**
 * The state thread's side of a ColdDatabase: carries out what comes through the port. Writes are done
 * one after the other; a read waits for the writes it must see and for no others. After a write has
 * failed nothing is done any more, since what is in the database is no longer what the slot believes.
 */
import type { MessagePort } from 'node:worker_threads';
import { serializeError, toMillraceError, type MillraceError } from '../../../core/errors.js';
import { murmur3Hash32 } from '../../../core/murmur3.js';
import { successorOf } from './byte-order.js';
import type { WalkPage } from './cold-database.js';
import type {
  DatabaseAnswer,
  DatabaseRequest,
  ReadRequest,
  WalkRequest,
  WriteRequest,
} from './database-messages.js';
import { isAfter, type DatabaseSignals } from './database-signals.js';
import { PackedReader, PackedWriter } from './packed-bytes.js';
import type { RocksDatabase, RocksWrite } from './rocks-database.js';
import { isExpired, thingsIn } from './row-header.js';

/** Keys looked up by one thread of the pool: several share a larger request. */
const KEYS_PER_LOOKUP = 128;

type PendingRequest = Extract<DatabaseRequest, { kind: 'read' }>;

export class DatabaseServer {
  readonly #port: MessagePort;
  readonly #signals: DatabaseSignals;
  readonly #database: Promise<RocksDatabase>;
  /** Settles when all writes so far are done; never rejects. */
  #writes: Promise<void> = Promise.resolve();
  /** Reads of what is not written yet. */
  #waiting: PendingRequest[] = [];
  #failure: MillraceError | undefined;

  /** @param database when it can't be opened, every answer says why */
  constructor(port: MessagePort, signals: DatabaseSignals, database: Promise<RocksDatabase>) {
    this.#port = port;
    this.#signals = signals;
    this.#database = database;
    database.catch((error: unknown) => this.#fail(error));
    port.on('message', (request: DatabaseRequest) => this.#receive(request));
  }

  #receive(request: DatabaseRequest): void {
    switch (request.kind) {
      case 'read':
        if (isAfter(request.after, this.#signals.writesDone)) this.#waiting.push(request);
        else void this.#read(request);
        break;
      case 'walk':
        this.#writes = this.#writes.then(() => this.#walk(request));
        break;
      default:
        this.#writes = this.#writes.then(() => this.#write(request));
    }
  }

  async #write(request: WriteRequest): Promise<void> {
    try {
      const database = await this.#ready();
      if (request.kind === 'write') await database.write(writesOf(request.rows));
      else await database.deleteRange(request, request.rowsMax);
    } catch (error) {
      this.#fail(error);
    }
    this.#signals.wrote(request.sequence);
    const { writesDone } = this.#signals;
    const waiting = this.#waiting;
    this.#waiting = waiting.filter(({ after }) => isAfter(after, writesDone));
    for (const read of waiting) if (!isAfter(read.after, writesDone)) void this.#read(read);
  }

  async #read({ id, read }: PendingRequest): Promise<void> {
    try {
      this.#answer(await answerOf(await this.#ready(), id, read));
    } catch (error) {
      this.#answer({ id, kind: 'error', error: serializeError(error) });
    }
  }

  async #walk(request: WalkRequest): Promise<void> {
    const { id } = request;
    try {
      this.#answer({ id, kind: 'walked', ...(await walk(await this.#ready(), request)) });
    } catch (error) {
      this.#fail(error);
      this.#answer({ id, kind: 'error', error: serializeError(error) });
    }
  }

  /** The database, as long as it holds what it was told to. */
  async #ready(): Promise<RocksDatabase> {
    const database = await this.#database;
    if (this.#failure !== undefined) throw this.#failure;
    return database;
  }

  #fail(error: unknown): void {
    this.#failure ??= toMillraceError(error);
    this.#signals.fail();
  }

  #answer(answer: DatabaseAnswer): void {
    this.#port.postMessage(answer, transferListOf(answer));
    this.#signals.answered();
  }
}

async function answerOf(
  database: RocksDatabase,
  id: number,
  read: ReadRequest,
): Promise<DatabaseAnswer> {
  switch (read.kind) {
    case 'getMany':
      return { id, kind: 'packed', bytes: await lookUp(database, read.keys), more: false };
    case 'page': {
      const { rows, more } = await database.page(read, read.rowsMax);
      const packed = new PackedWriter();
      for (const [key, value] of rows) {
        packed.add(key);
        packed.add(value);
      }
      return { id, kind: 'packed', bytes: packed.take(), more };
    }
    case 'approximateBytes':
      return { id, kind: 'size', bytes: await database.approximateBytes(read) };
    case 'statistics':
      return { id, kind: 'statistics', statistics: database.statistics() };
  }
}

/** The values of packed keys, looked up by several threads of the pool, packed in order. */
async function lookUp(database: RocksDatabase, packedKeys: Uint8Array): Promise<Uint8Array> {
  const lookups: Promise<readonly (Buffer | undefined)[]>[] = [];
  const reader = new PackedReader(packedKeys);
  let keys: Buffer[] = [];
  while (!reader.atEnd) {
    const key = reader.next();
    if (key !== undefined) keys.push(key);
    if (keys.length < KEYS_PER_LOOKUP && !reader.atEnd) continue;
    lookups.push(database.getMany(keys));
    keys = [];
  }
  const packed = new PackedWriter(packedKeys.length);
  for (const values of await Promise.all(lookups)) {
    for (const value of values) {
      if (value === undefined) packed.addAbsent();
      else packed.add(value);
    }
  }
  return packed.take();
}

function* writesOf(rows: Uint8Array): Iterable<RocksWrite> {
  const reader = new PackedReader(rows);
  while (!reader.atEnd) {
    const key = reader.next();
    const value = reader.next();
    if (key !== undefined) yield [key, value];
  }
}

async function walk(database: RocksDatabase, request: WalkRequest): Promise<WalkPage> {
  const { rowsMax, nowSeconds } = request;
  const { rows, more } = await database.page(request, rowsMax, nowSeconds !== undefined);
  const expired: RocksWrite[] = [];
  const hashes: number[] = [];
  let removedThings = 0;
  for (const [key, value] of rows) {
    if (nowSeconds !== undefined && isExpired(value, nowSeconds)) {
      expired.push([key, undefined]);
      removedThings += thingsIn(value);
    } else if (request.hashes) {
      hashes.push(murmur3Hash32(key));
    }
  }
  if (expired.length > 0) await database.write(expired);
  const last = rows.at(-1)?.[0];
  return {
    next: more && last !== undefined ? successorOf(last) : undefined,
    removed: expired.length,
    removedThings,
    hashes: Uint32Array.from(hashes),
  };
}

function transferListOf(answer: DatabaseAnswer): ArrayBuffer[] {
  const bytes = answer.kind === 'packed' ? answer.bytes : undefined;
  return bytes?.buffer instanceof ArrayBuffer ? [bytes.buffer] : [];
}
