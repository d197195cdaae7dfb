/**
 * Reads the batches of one partition out of the bytes of a Fetch answer: checks each, leaves out markers
 * and, for read_committed, what transactions wrote that were aborted, and hands out the rest as columns. It
 * must never hand out a record before the offset asked for, nor move the next offset over a batch that is not whole.
 */
import { invariant } from '../../core/errors.js';
import type { AbortedTransaction } from './aborted-transactions.js';
import { AbortedTransactions } from './aborted-transactions.js';
import { decompress, decompressZstd } from './compression.js';
import { FIELD, LENGTH_PREFIX_BYTES, RecordBatchHeader } from './record-batch-header.js';
import { MalformedBytes, RecordBatchError } from './record-batch-error.js';
import type { RecordColumns } from './record-columns.js';
import { RecordColumnBuffers } from './record-columns.js';

export type IsolationLevel = 'read_committed' | 'read_uncommitted';

export type TransactionEnd = 'abort' | 'commit';

/** Far above what a topic's max.message.bytes lets in uncompressed (1 MB unless set), and still memory that a worker has. */
const DECOMPRESSED_BYTES_MAX = 128 * 1024 * 1024;

const EMPTY = Buffer.alloc(0);

/** Key of a marker: version, then kind; these kinds end a transaction. */
const MARKER_KEY_BYTES = 4;
const ENDS: readonly (TransactionEnd | undefined)[] = ['abort', 'commit'];

/**
 * One per partition, used for one answer after the other:
 *
 *     reader.begin(recordSet, { fetchOffset, abortedTransactions });
 *     for (;;) {
 *       const prepared = reader.prepare();
 *       if (prepared !== undefined) await prepared;
 *       const columns = reader.next();
 *       if (columns === undefined) break;
 *       ...
 *     }
 *
 * After an error only `begin` helps.
 */
export class RecordSetReader {
  readonly #readCommitted: boolean;
  readonly #decompressedBytesMax: number;
  readonly #onEnd: (producerId: bigint, end: TransactionEnd) => void;
  readonly #aborted = new AbortedTransactions();
  readonly #header = new RecordBatchHeader();
  readonly #columns = new RecordColumnBuffers();
  #bytes: Buffer = EMPTY;
  #fetchOffset = 0;
  /** The batch after the one last looked at. */
  #position = 0;
  #nextOffset = 0;
  #leaderEpoch: number | undefined;
  /** The batch of #header has records for us, which `next` has still to hand out. */
  #found = false;
  /** Its records, decompressed by `prepare`. */
  #decompressed: Buffer | undefined;
  #cutBatchBytes: number | undefined;

  constructor(options: {
    readonly isolation: IsolationLevel;
    /** Limit of one batch. Default 128 MiB. */
    readonly decompressedBytesMax?: number;
    /** Is told of each end of a transaction, between the batches before it and those after. */
    readonly onEnd?: (producerId: bigint, end: TransactionEnd) => void;
  }) {
    this.#readCommitted = options.isolation === 'read_committed';
    this.#decompressedBytesMax = options.decompressedBytesMax ?? DECOMPRESSED_BYTES_MAX;
    this.#onEnd = options.onEnd ?? (() => undefined);
  }

  /**
   * One partition's part of a Fetch answer; a cut last batch is normal. The bytes stay the caller's,
   * but must not change until the last columns have been read. Not while a promise of `prepare` is pending.
   */
  begin(
    recordSet: Buffer,
    options: {
      readonly fetchOffset: number;
      /** Of the batch before; undefined: not known. */
      readonly leaderEpoch?: number | undefined;
      readonly abortedTransactions: readonly AbortedTransaction[];
    },
  ): void {
    this.#bytes = recordSet;
    this.#fetchOffset = options.fetchOffset;
    this.#nextOffset = options.fetchOffset;
    this.#leaderEpoch = options.leaderEpoch;
    this.#aborted.begin(this.#readCommitted ? options.abortedTransactions : []);
    this.#position = 0;
    this.#found = false;
    this.#decompressed = undefined;
    this.#cutBatchBytes = undefined;
  }

  /** Where the next fetch begins: after the batch handed out last and all that were left out since. */
  get nextOffset(): number {
    return this.#nextOffset;
  }

  /** Whose transaction the batch belongs to that was handed out last; undefined: to none. */
  get transactionOf(): bigint | undefined {
    return this.#header.transactional ? this.#header.producerId : undefined;
  }

  /** Leader epoch of the batch before `nextOffset`; undefined: not known. */
  get leaderEpoch(): number | undefined {
    return this.#leaderEpoch;
  }

  /**
   * Once `next` gave undefined: how large the first batch is, when the answer holds only the begin of it.
   * Then the next fetch needs that many bytes, or it gets nowhere. Undefined: the answer had a
   * whole batch, or nothing.
   */
  get cutBatchBytes(): number | undefined {
    return this.#cutBatchBytes;
  }

  /**
   * To be called before each `next`: a promise to await, when the next batch has to be decompressed off this thread.
   * @throws RecordBatchError, itself or by the promise, as `next`
   */
  prepare(): Promise<void> | undefined {
    if (!this.#find() || this.#header.compression !== 'zstd') return undefined;
    return this.#decompressed === undefined ? this.#decompressZstd() : undefined;
  }

  /**
   * The next batch that reaches the offset asked for; undefined: none left. Its `count` is 0 when compaction
   * has removed just the records from that offset on.
   * @throws RecordBatchError when a batch is corrupt, of a format that is not read, or too large
   */
  next(): RecordColumns | undefined {
    if (!this.#find()) return undefined;
    try {
      const { compression, recordsStart, end } = this.#header;
      if (compression === 'none') {
        this.#columns.decode(this.#bytes, recordsStart, end, this.#header, this.#fetchOffset);
      } else {
        const records = this.#decompressed ?? this.#decompress();
        this.#columns.decode(records, 0, records.length, this.#header, this.#fetchOffset);
      }
    } catch (error) {
      throw this.#placed(error);
    }
    this.#found = false;
    this.#decompressed = undefined;
    this.#passBatch();
    return this.#columns;
  }

  /** Moves to the next batch with records for us, unless there already; false: none left. */
  #find(): boolean {
    while (!this.#found) {
      const end = this.#batchEnd();
      if (end === undefined) return false;
      const header = this.#header;
      try {
        header.read(this.#bytes, this.#position, end);
        this.#checkOrder();
        this.#found = !this.#isLeftOut();
      } catch (error) {
        throw this.#placed(error);
      }
      this.#position = end;
      if (!this.#found) this.#passBatch();
    }
    return true;
  }

  #passBatch(): void {
    this.#nextOffset = this.#header.lastOffset + 1;
    this.#leaderEpoch = this.#header.leaderEpoch;
  }

  /** End of the batch at #position; undefined when it is not there whole. */
  #batchEnd(): number | undefined {
    const left = this.#bytes.length - this.#position;
    if (left === 0) return undefined;
    let size = FIELD.records;
    if (left >= LENGTH_PREFIX_BYTES) {
      const length = this.#bytes.readInt32BE(this.#position + FIELD.length);
      if (length < 0) throw this.#placed(new MalformedBytes('corrupt', `its length is ${length}`));
      size = LENGTH_PREFIX_BYTES + length;
      if (size <= left) return this.#position + size;
    }
    if (this.#position === 0) this.#cutBatchBytes = Math.max(size, left + 1);
    return undefined;
  }

  /** The base offset is outside of the checksum: what it says has to fit what came before. */
  #checkOrder(): void {
    const { baseOffset, lastOffset } = this.#header;
    if (lastOffset < this.#nextOffset || (this.#position > 0 && baseOffset < this.#nextOffset)) {
      throw new MalformedBytes(
        'corrupt',
        `its offsets ${baseOffset} to ${lastOffset} do not come after what was read`,
      );
    }
  }

  #isLeftOut(): boolean {
    const { control, transactional, producerId, recordCount } = this.#header;
    this.#aborted.advance(this.#header.lastOffset);
    if (control) {
      const end = this.#transactionEnd();
      if (end !== undefined) {
        this.#aborted.end(producerId);
        this.#onEnd(producerId, end);
      }
      return true;
    }
    return recordCount === 0 || (transactional && this.#aborted.has(producerId));
  }

  /** How the control batch ends a transaction; there are control records of other kinds. */
  #transactionEnd(): TransactionEnd | undefined {
    const { recordsStart, end, recordCount } = this.#header;
    if (recordCount === 0) return undefined;
    this.#columns.decode(this.#bytes, recordsStart, end, this.#header, 0);
    const keyStart = this.#columns.keyStarts[0] ?? -1;
    const keyEnd = this.#columns.keyEnds[0] ?? 0;
    if (keyStart < 0 || keyEnd - keyStart < MARKER_KEY_BYTES) {
      throw new MalformedBytes('corrupt', 'a control record has no kind');
    }
    return ENDS[this.#bytes.readInt16BE(keyStart + 2)];
  }

  #decompress(): Buffer {
    const { compression, recordsStart, end } = this.#header;
    invariant(compression !== 'none' && compression !== 'zstd', 'prepare comes before next');
    return decompress(
      compression,
      this.#bytes.subarray(recordsStart, end),
      this.#decompressedBytesMax,
    );
  }

  async #decompressZstd(): Promise<void> {
    const { recordsStart, end } = this.#header;
    const compressed = this.#bytes.subarray(recordsStart, end);
    try {
      this.#decompressed = await decompressZstd(compressed, this.#decompressedBytesMax);
    } catch (error) {
      throw this.#placed(error);
    }
  }

  /** The error with the offset where to go on; errors that tell nothing of the bytes stay as they are. */
  #placed(error: unknown): unknown {
    if (!(error instanceof MalformedBytes)) return error;
    return new RecordBatchError(error.kind, this.#nextOffset, error.message, {
      cause: error.cause,
    });
  }
}
