/**
 * A partition as a broker keeps it: batches, transactions and their ends, and what a reader of committed
 * records is to see of it. Tests fetch parts of it as a broker would send them.
 */
import type { AbortedTransaction } from '../../../connectors/kafka/aborted-transactions.js';
import type { RecordSpec } from './batch-bytes.js';
import { ABORT, COMMIT, encodeBatch, encodeMarker } from './batch-bytes.js';

interface LogBatch {
  bytes: Buffer;
  readonly lastOffset: number;
  /** There is something to compress in it. */
  readonly hasRecords: boolean;
}

interface OpenTransaction {
  readonly firstOffset: number;
  readonly records: RecordSpec[];
}

/** A Fetch answer for one partition, and what is to be read from it. */
export interface FetchAnswer {
  readonly fetchOffset: number;
  readonly batches: readonly Buffer[];
  readonly abortedTransactions: readonly AbortedTransaction[];
  readonly nextOffset: number;
}

export class PartitionLog {
  readonly batches: LogBatch[] = [];
  /** All records ever written, in aborted transactions too. */
  readonly written: RecordSpec[] = [];
  endOffset = 0;
  readonly #aborted: (AbortedTransaction & { readonly markerOffset: number })[] = [];
  readonly #open = new Map<bigint, OpenTransaction>();
  #committed: RecordSpec[] = [];

  /** Writes records from the end on, in the producer's transaction or in none. */
  write(drafts: readonly Omit<RecordSpec, 'offset'>[], producerId?: bigint): void {
    const records = drafts.map((draft, i) => ({ ...draft, offset: this.endOffset + i }));
    this.written.push(...records);
    if (producerId === undefined) {
      this.#committed.push(...records);
      this.#add(encodeBatch({ records }), records.length, true);
      return;
    }
    const transaction = this.#open.get(producerId) ?? { firstOffset: this.endOffset, records: [] };
    transaction.records.push(...records);
    this.#open.set(producerId, transaction);
    this.#add(encodeBatch({ records, producerId, transactional: true }), records.length, true);
  }

  /** Offsets of which compaction has left an empty batch. */
  empty(offsets: number): void {
    const lastOffset = this.endOffset + offsets - 1;
    this.#add(encodeBatch({ records: [], baseOffset: this.endOffset, lastOffset }), offsets, false);
  }

  /** Offsets of which compaction has left nothing. */
  skip(offsets: number): void {
    this.endOffset += offsets;
  }

  /** Compaction removes the batch that ends there; only `fetch` heeds it. */
  clean(lastOffset: number): void {
    const index = this.batches.findIndex((batch) => batch.lastOffset === lastOffset);
    if (index >= 0) this.batches.splice(index, 1);
  }

  end(producerId: bigint, kind: typeof ABORT | typeof COMMIT): void {
    const transaction = this.#open.get(producerId);
    if (transaction === undefined) return;
    this.#open.delete(producerId);
    if (kind === COMMIT) {
      this.#committed = [...this.#committed, ...transaction.records].sort(
        (left, right) => left.offset - right.offset,
      );
    } else {
      const { firstOffset } = transaction;
      this.#aborted.push({ producerId, firstOffset, markerOffset: this.endOffset });
    }
    this.#add(encodeMarker(kind, producerId, this.endOffset), 1, false);
  }

  /** Aborts what is open, as a timeout would. */
  abortOpen(): void {
    for (const producerId of [...this.#open.keys()]) this.end(producerId, ABORT);
  }

  /** What a reader of committed records sees of offsets [from, to). */
  visible(from: number, to: number): RecordSpec[] {
    return this.#committed.filter(({ offset }) => offset >= from && offset < to);
  }

  /** What a broker answers: from the batch of the offset on, and the aborted transactions by their ends. */
  fetch(fetchOffset: number, batchesMax: number): FetchAnswer {
    const first = this.batches.findIndex(({ lastOffset }) => lastOffset >= fetchOffset);
    const sent = first < 0 ? [] : this.batches.slice(first, first + batchesMax);
    const upTo = sent.at(-1)?.lastOffset ?? fetchOffset - 1;
    return {
      fetchOffset,
      batches: sent.map(({ bytes }) => bytes),
      abortedTransactions: this.#aborted
        .filter((one) => one.firstOffset <= upTo && one.markerOffset >= fetchOffset)
        .map(({ producerId, firstOffset }) => ({ producerId, firstOffset })),
      nextOffset: upTo + 1,
    };
  }

  #add(bytes: Buffer, offsets: number, hasRecords: boolean): void {
    this.endOffset += offsets;
    this.batches.push({ bytes, lastOffset: this.endOffset - 1, hasRecords });
  }
}
