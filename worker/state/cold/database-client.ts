/**
 * The slot thread's side of a ColdDatabase. Writes are gathered and sent without waiting, a bounded
 * number at a time; reads block the thread, and wait in the state thread only for writes of the same
 * keys. A hung disk, a failed write and a state thread that is gone all end a call with an error;
 * no call waits for ever.
 */
import { receiveMessageOnPort, type MessagePort } from 'node:worker_threads';
import {
  deserializeError,
  invariant,
  MillraceError,
  toMillraceError,
} from '../../../core/errors.js';
import type {
  ByteRange,
  ColdDatabase,
  DatabasePage,
  DatabaseRow,
  DatabaseStatistics,
  PendingRead,
  PendingWalk,
  WalkOptions,
} from './cold-database.js';
import {
  type DatabaseAnswer,
  type DatabaseConnection,
  type DatabaseRequest,
  type ReadRequest,
  stateThreadLost,
  type WriteRequest,
} from './database-messages.js';
import { DatabaseSignals } from './database-signals.js';
import { PackedReader, PackedWriter } from './packed-bytes.js';
import { UnfinishedWrites } from './unfinished-writes.js';

/** Gathered writes are sent once they are this many bytes. */
const WRITE_BYTES = 256 * 1024;
/** Writes sent and not yet done; one more waits. */
const WRITES_OUTSTANDING_MAX = 4;
/** Reads and walks begun and not yet asked for. */
const ANSWERS_OUTSTANDING_MAX = 64;
/** Longest wait for the state thread, which is busy for milliseconds: beyond it the disk hangs. */
export const DATABASE_TIMEOUT_MS = 60_000;

export interface DatabaseClientOptions {
  /** ms that only ever go up. */
  readonly monotonic: () => number;
  readonly timeoutMs?: number;
}

type Answer<K extends DatabaseAnswer['kind']> = Extract<DatabaseAnswer, { kind: K }>;

export class DatabaseClient implements ColdDatabase {
  readonly #port: MessagePort;
  readonly #signals: DatabaseSignals;
  readonly #folder: string;
  readonly #monotonic: () => number;
  readonly #timeoutMs: number;
  readonly #answers = new Map<number, DatabaseAnswer>();
  readonly #unfinished = new UnfinishedWrites();
  #gathered = new PackedWriter(WRITE_BYTES);
  #expected = 0;
  /** What every call fails with from then on. */
  #broken: MillraceError | undefined;
  #nextId = 0;

  constructor(
    { port, signals, folder }: DatabaseConnection,
    { monotonic, timeoutMs = DATABASE_TIMEOUT_MS }: DatabaseClientOptions,
  ) {
    this.#port = port;
    this.#signals = new DatabaseSignals(signals);
    this.#folder = folder;
    this.#monotonic = monotonic;
    this.#timeoutMs = timeoutMs;
  }

  getMany(keys: readonly Uint8Array[]): readonly (Uint8Array | undefined)[] {
    return this.beginRead(keys).values();
  }

  beginRead(keys: readonly Uint8Array[]): PendingRead {
    const packed = new PackedWriter();
    for (const key of keys) packed.add(key);
    const after = this.#unfinished.lastOf(keys, this.#signals.writesDone);
    const id = this.#beginRead({ kind: 'getMany', keys: packed.take() }, after);
    return { values: () => valuesOf(this.#take(id, 'packed').bytes) };
  }

  put(key: Uint8Array, value: Uint8Array): void {
    this.#unlessBroken();
    this.#gathered.add(key);
    this.#gathered.add(value);
    this.#gatheredAt(key);
  }

  delete(key: Uint8Array): void {
    this.#unlessBroken();
    this.#gathered.add(key);
    this.#gathered.addAbsent();
    this.#gatheredAt(key);
  }

  deleteRange(range: ByteRange, rowsMax = Infinity): void {
    this.flush();
    const sequence = this.#unfinished.sendRange(range);
    this.#write({ kind: 'deleteRange', sequence, ...own(range), rowsMax });
  }

  page(range: ByteRange, rowsMax: number): DatabasePage {
    const id = this.#beginRead({ kind: 'page', ...own(range), rowsMax }, this.#unfinished.last);
    const { bytes, more } = this.#take(id, 'packed');
    return { rows: rowsOf(bytes), more };
  }

  walk(range: ByteRange, options: WalkOptions): PendingWalk {
    this.flush();
    const id = this.#begin();
    this.#post({ kind: 'walk', id, ...own(range), ...options });
    return {
      result: () => {
        this.#drain();
        return this.#answers.has(id) ? this.#take(id, 'walked') : this.#unlessEnded();
      },
    };
  }

  flush(): void {
    this.#unlessBroken();
    if (this.#gathered.count === 0) return;
    const sequence = this.#unfinished.send();
    this.#write({ kind: 'write', sequence, rows: this.#gathered.take() });
  }

  approximateBytes(range: ByteRange): number {
    const read = { kind: 'approximateBytes', ...own(range) } as const;
    return this.#take(this.#beginRead(read, this.#unfinished.last), 'size').bytes;
  }

  statistics(): DatabaseStatistics {
    const id = this.#beginRead({ kind: 'statistics' }, this.#signals.writesDone);
    return this.#take(id, 'statistics').statistics;
  }

  #gatheredAt(key: Uint8Array): void {
    this.#unfinished.gather(key);
    if (this.#gathered.lengthBytes >= WRITE_BYTES) this.flush();
  }

  #write(request: WriteRequest): void {
    if (this.#signals.failed) throw this.#failure();
    this.#await('write', () => {
      return this.#unfinished.count(this.#signals.writesDone) <= WRITES_OUTSTANDING_MAX;
    });
    this.#post(request);
  }

  #beginRead(read: ReadRequest, after: number): number {
    if (after === this.#unfinished.gathering) this.flush();
    const id = this.#begin();
    this.#post({ kind: 'read', id, after, read });
    return id;
  }

  #begin(): number {
    this.#unlessBroken();
    invariant(this.#expected < ANSWERS_OUTSTANDING_MAX, 'answers of the state thread are taken');
    this.#expected++;
    return this.#nextId++;
  }

  #post(request: DatabaseRequest): void {
    this.#port.postMessage(request, transferListOf(request));
  }

  /** The answer to a request; blocks until it is here. */
  #take<K extends DatabaseAnswer['kind']>(id: number, kind: K): Answer<K> {
    this.#await('answer', () => {
      this.#drain();
      return this.#answers.has(id);
    });
    const answer = this.#answers.get(id);
    this.#answers.delete(id);
    this.#expected--;
    if (answer?.kind === 'error') throw this.#break(deserializeError(answer.error));
    invariant(answer?.kind === kind, 'the state thread answers what it was asked');
    return answer as Answer<K>;
  }

  #drain(): void {
    for (;;) {
      const received = receiveMessageOnPort(this.#port) as { message: DatabaseAnswer } | undefined;
      if (received === undefined) return;
      this.#answers.set(received.message.id, received.message);
    }
  }

  /** Blocks until a condition holds that only the state thread brings about. */
  #await(what: string, condition: () => boolean): void {
    let deadline: number | undefined;
    for (;;) {
      const { events } = this.#signals;
      if (condition()) return;
      this.#unlessEnded();
      const now = this.#monotonic();
      deadline ??= now + this.#timeoutMs;
      if (now >= deadline) throw this.#break(this.#hung(what));
      this.#signals.wait(events, deadline - now);
    }
  }

  #unlessEnded(): undefined {
    if (!this.#signals.ended) return undefined;
    throw this.#break(stateThreadLost(this.#folder));
  }

  /** Why a write failed: the answer to anything, from then on. */
  #failure(): MillraceError {
    try {
      this.statistics();
    } catch (error) {
      return toMillraceError(error);
    }
    return this.#break(
      new MillraceError('INTERNAL', `the state thread of ${this.#folder} failed silently`),
    );
  }

  #unlessBroken(): void {
    if (this.#broken !== undefined) throw this.#broken;
  }

  #break(error: MillraceError): MillraceError {
    this.#broken ??= error;
    return error;
  }

  #hung(what: string): MillraceError {
    return new MillraceError(
      'STORAGE_UNAVAILABLE',
      `${this.#folder}: no ${what} of the state database within ${this.#timeoutMs} ms; check whether the disk hangs`,
    );
  }
}

function valuesOf(bytes: Uint8Array): (Uint8Array | undefined)[] {
  const reader = new PackedReader(bytes);
  const values: (Uint8Array | undefined)[] = [];
  while (!reader.atEnd) values.push(reader.next());
  return values;
}

function rowsOf(bytes: Uint8Array): DatabaseRow[] {
  const reader = new PackedReader(bytes);
  const rows: DatabaseRow[] = [];
  while (!reader.atEnd) {
    const key = reader.next();
    const value = reader.next();
    if (key !== undefined && value !== undefined) rows.push({ key, value });
  }
  return rows;
}

/** In memory of their own: of a view into Node's pool, the whole pool would be cloned. */
function own({ from, to }: ByteRange): ByteRange {
  return { from: new Uint8Array(from), to: new Uint8Array(to) };
}

/** Only memory made for the request: other bytes are short and cloned. */
function transferListOf(request: DatabaseRequest): ArrayBuffer[] {
  const bytes =
    request.kind === 'write'
      ? request.rows
      : request.kind === 'read' && request.read.kind === 'getMany'
        ? request.read.keys
        : undefined;
  return bytes?.buffer instanceof ArrayBuffer ? [bytes.buffer] : [];
}
