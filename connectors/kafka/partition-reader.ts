/**
 * Reads one partition: fetched record sets -> batches -> records, as many as a poll asks for. Bytes that
 * hold no record become dead letters or fail the job. It must never count a record as read before it was
 * handed out, nor hold more than it was allowed to fetch.
 */
import { isUtf8 } from 'node:buffer';
import type { SourceOutput } from '../../api/source.js';
import { MillraceError } from '../../core/errors.js';
import { FormatError, SchemaMissing } from '../formats/format.js';
import type { FetchedPartition, FetchPartition } from './fetch-request.js';
import { isAtEnd, UNBOUNDED, type KafkaSplit } from './kafka-split.js';
import { RecordBatchError } from './record-batch-error.js';
import type { RecordColumns } from './record-columns.js';
import type { RecordDecoder } from './record-decoder.js';
import { recordSetEnd, type FetchPosition } from './record-set-end.js';
import { RecordSetReader, type IsolationLevel } from './record-set-reader.js';

/** What becomes of bytes that hold no record. */
export type PoisonPolicy = 'deadLetter' | 'fail';

export interface PartitionReaderOptions<T> {
  readonly decoder: RecordDecoder<T>;
  readonly isolation: IsolationLevel;
  /** Undefined: the job's dead letters decide, by being taken or not. */
  readonly poison: PoisonPolicy | undefined;
  /** `isReady` may have changed, by something asynchronous. */
  readonly onProgress: () => void;
  readonly onFailure: (error: unknown) => void;
}

/** What was fetched at once; without bytes: reading goes on at another offset. */
interface RecordSet extends Pick<FetchedPartition, 'recordSet' | 'abortedTransactions'> {
  readonly from: FetchPosition;
  /** Nobody reads its bytes any more. */
  readonly left: () => void;
}

/** The one that is decoded, and the next. */
const RECORD_SETS_MAX = 2;
/** Of one fetch, unless one batch is larger. */
const FETCH_BYTES = 1024 * 1024;
const RAW_LENGTH_MAX = 4_096;
const NOTHING = { recordSet: Buffer.alloc(0), abortedTransactions: [], left: () => undefined };

export class PartitionReader<T> {
  readonly #split: KafkaSplit;
  readonly #options: PartitionReaderOptions<T>;
  readonly #reader: RecordSetReader;
  #recordSets: RecordSet[] = [];
  #bufferedBytes = 0;
  /** The reader has begun with the first record set. */
  #begun = false;
  #columns: RecordColumns | undefined;
  #index = 0;
  #position: number;
  /** Of the batch that the record before the position came in. */
  #leaderEpoch: number | undefined;
  #nextFetch: FetchPosition;
  #fetchBytes = FETCH_BYTES;
  /** Behind what the broker has for us by now; undefined: it has not said. */
  #available: number | undefined;
  /** Waits for a schema, or for a batch that is decompressed elsewhere. */
  #blocked = false;
  #prepared = false;
  #finished = false;

  constructor(split: KafkaSplit, options: PartitionReaderOptions<T>) {
    this.#split = split;
    this.#options = options;
    this.#reader = new RecordSetReader({ isolation: options.isolation });
    this.#position = split.offset;
    this.#leaderEpoch = split.leaderEpoch;
    this.#nextFetch = { offset: split.offset, leaderEpoch: split.leaderEpoch };
    this.#finished = isAtEnd(split);
  }

  /** With the offset after the last record that was handed out. */
  get split(): KafkaSplit {
    const { leaderEpoch: _, ...split } = this.#split;
    const leaderEpoch = this.#leaderEpoch;
    return {
      ...split,
      offset: this.#position,
      ...(leaderEpoch === undefined ? {} : { leaderEpoch }),
    };
  }

  get isFinished(): boolean {
    return this.#finished;
  }

  /** Whether `poll` will get further. */
  get isReady(): boolean {
    return !this.#blocked && !this.#finished && this.#recordSets.length > 0;
  }

  /** Whether there is more than was handed out, as far as is known. */
  get hasMore(): boolean {
    return !this.#finished && (this.#available === undefined || this.#position < this.#available);
  }

  /** Offsets from the next record to the end, as the last answer told of it; 0 before the first. */
  get lag(): number {
    return Math.max(0, (this.#available ?? 0) - this.#position);
  }

  get wantsFetch(): boolean {
    const { end } = this.#split;
    const isAll = end !== UNBOUNDED && this.#nextFetch.offset >= end;
    return !this.#finished && !isAll && this.#recordSets.length < RECORD_SETS_MAX;
  }

  get bufferedBytes(): number {
    return this.#bufferedBytes;
  }

  /** What to ask the broker for. */
  get fetch(): Pick<FetchPartition, 'fetchOffset' | 'leaderEpoch' | 'bytesMax'> {
    const { offset, leaderEpoch } = this.#nextFetch;
    return { fetchOffset: offset, leaderEpoch, bytesMax: this.#fetchBytes };
  }

  /**
   * Takes what the broker gave for `fetch`.
   * @param left is called once the record set was read to its end
   */
  offer(fetched: FetchedPartition, left: () => void): void {
    const { recordSet, abortedTransactions, highWatermark, lastStableOffset } = fetched;
    this.#available =
      this.#options.isolation === 'read_committed' ? lastStableOffset : highWatermark;
    if (recordSet.length === 0 || this.#finished) return;
    this.#recordSets.push({ from: this.#nextFetch, recordSet, abortedTransactions, left });
    this.#bufferedBytes += recordSet.length;
    this.#nextFetch = recordSetEnd(recordSet, this.#nextFetch);
  }

  /** Goes on elsewhere once all that was fetched is read. */
  continueAt(offset: number): void {
    const from = { offset, leaderEpoch: undefined };
    this.#recordSets.push({ ...NOTHING, from });
    this.#nextFetch = from;
  }

  /**
   * Hands out at most `recordsMax` records.
   * @returns how many records it went through
   * @throws MillraceError INPUT_INVALID, WIRE_CORRUPT naming topic, partition and offset
   */
  poll(output: SourceOutput<T>, recordsMax: number): number {
    let seen = 0;
    while (seen < recordsMax && this.#advance()) {
      const columns = this.#columns;
      if (columns === undefined) break;
      const end = Math.min(columns.count, this.#index + recordsMax - seen);
      while (this.#index < end && this.#emit(columns, output)) seen++;
      if (this.#index > 0) this.#leaderEpoch = this.#reader.leaderEpoch;
      if (this.#blocked) break;
    }
    return seen;
  }

  /** Moves to the next record, batch or record set; false: there is nothing to hand out now. */
  #advance(): boolean {
    while (this.isReady) {
      if (this.#columns !== undefined) {
        if (this.#index < this.#columns.count) return true;
        this.#columns = undefined;
        this.#pass();
      } else if (!this.#begin()) {
        return false;
      }
    }
    return false;
  }

  /** Begins with the next batch, or leaves the record set; false: that takes time. */
  #begin(): boolean {
    const recordSet = this.#recordSets[0];
    if (recordSet === undefined) return false;
    try {
      if (!this.#begun) {
        this.#begun = true;
        const { from, abortedTransactions } = recordSet;
        const { offset: fetchOffset, leaderEpoch } = from;
        this.#position = fetchOffset;
        this.#leaderEpoch = leaderEpoch;
        this.#reader.begin(recordSet.recordSet, { fetchOffset, leaderEpoch, abortedTransactions });
      }
      const preparing = this.#prepared ? undefined : this.#reader.prepare();
      this.#prepared = preparing !== undefined;
      if (preparing !== undefined) {
        this.#block(preparing);
        return false;
      }
      const columns = this.#reader.next();
      if (columns === undefined) {
        this.#leave(recordSet);
      } else {
        this.#columns = columns;
        this.#index = 0;
        this.#options.decoder.begin(columns);
      }
      return true;
    } catch (error) {
      throw this.#placed(error);
    }
  }

  #leave({ recordSet, left }: RecordSet): void {
    // A batch larger than what was asked for comes whole only if it is asked for whole.
    this.#fetchBytes = Math.max(FETCH_BYTES, this.#reader.cutBatchBytes ?? 0);
    this.#begun = false;
    this.#recordSets.shift();
    this.#bufferedBytes -= recordSet.length;
    left();
    this.#pass();
  }

  /** Emits one record; false: not now. */
  #emit(columns: RecordColumns, output: SourceOutput<T>): boolean {
    const { decoder } = this.#options;
    const index = this.#index;
    const offset = columns.offsets[index] ?? 0;
    if (this.#split.end !== UNBOUNDED && offset >= this.#split.end) {
      this.#moveTo(this.#split.end, undefined);
      return false;
    }
    let record: T | undefined;
    const isRecord = decoder.has(index);
    if (isRecord) {
      try {
        record = decoder.decode(index);
      } catch (error) {
        return this.#refuse(error, columns, offset, output);
      }
    }
    this.#index = index + 1;
    this.#position = offset + 1;
    if (isRecord) output.collect(record as T);
    return true;
  }

  #refuse(
    error: unknown,
    columns: RecordColumns,
    offset: number,
    output: SourceOutput<T>,
  ): boolean {
    if (error instanceof SchemaMissing) {
      this.#block(error.load());
      return false;
    }
    if (!(error instanceof FormatError)) throw error;
    const start = columns.valueStarts[this.#index] ?? -1;
    const bytes = columns.bytes.subarray(Math.max(0, start), columns.valueEnds[this.#index]);
    const raw = start < 0 ? '' : textOf(bytes);
    const { poison = output.takesDeadLetters ? 'deadLetter' : 'fail' } = this.#options;
    if (poison === 'fail') {
      throw new MillraceError(
        'INPUT_INVALID',
        `${this.#place} holds no record at offset ${offset} (${error.message}), it begins with ` +
          `${JSON.stringify(raw.slice(0, 64))}; correct what writes it or the format, ` +
          `or give the source's .deadLetters a sink${this.#options.poison === 'fail' ? ', and leave out poison' : ''}`,
      );
    }
    this.#index++;
    this.#position = offset + 1;
    output.deadLetter({
      origin: this.#split.id,
      position: offset,
      reason: error.message,
      raw,
    });
    return true;
  }

  /** Behind all that the reader has handed out or left out. */
  #pass(): void {
    const { nextOffset, leaderEpoch } = this.#reader;
    this.#moveTo(nextOffset, leaderEpoch);
  }

  #moveTo(offset: number, leaderEpoch: number | undefined): void {
    this.#position = offset;
    this.#leaderEpoch = leaderEpoch;
    const { end } = this.#split;
    if (end === UNBOUNDED || offset < end) return;
    this.#finished = true;
    this.#recordSets = [];
    this.#bufferedBytes = 0;
    this.#columns = undefined;
  }

  #block(until: Promise<void>): void {
    this.#blocked = true;
    until.then(
      () => {
        this.#blocked = false;
        this.#options.onProgress();
      },
      (error: unknown) => this.#options.onFailure(this.#placed(error)),
    );
  }

  get #place(): string {
    return `topic "${this.#split.topic}" partition ${this.#split.partition}`;
  }

  #placed(error: unknown): unknown {
    if (!(error instanceof RecordBatchError)) return error;
    const message = `${this.#place}: ${error.message}`;
    if (error.kind === 'corrupt') {
      return new MillraceError(
        'WIRE_CORRUPT',
        `${message}; if it comes again, restore the partition, or start behind that offset`,
        { cause: error },
      );
    }
    return new MillraceError(
      'INPUT_INVALID',
      `${message}; start behind that offset, or write the record anew`,
      { cause: error },
    );
  }
}

function textOf(bytes: Buffer): string {
  const text = isUtf8(bytes)
    ? bytes.toString('utf8')
    : `hex ${bytes.subarray(0, RAW_LENGTH_MAX).toString('hex')}`;
  return text.slice(0, RAW_LENGTH_MAX);
}
