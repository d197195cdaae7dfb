/** Reads a record set to plain records by the codec, for tests that compare. */
import type { AbortedTransaction } from '../../../connectors/kafka/aborted-transactions.js';
import type { RecordColumns } from '../../../connectors/kafka/record-columns.js';
import { readHeaders } from '../../../connectors/kafka/record-columns.js';
import { RecordSetReader } from '../../../connectors/kafka/record-set-reader.js';
import type { RecordSpec } from './batch-bytes.js';

export interface ReadOptions {
  readonly isolation?: 'read_committed' | 'read_uncommitted';
  readonly decompressedBytesMax?: number;
  readonly fetchOffset?: number;
  readonly abortedTransactions?: readonly AbortedTransaction[];
}

export interface ReadAnswer {
  readonly records: RecordSpec[];
  readonly nextOffset: number;
  readonly cutBatchBytes: number | undefined;
}

export async function readRecords(bytes: Buffer, options: ReadOptions = {}): Promise<ReadAnswer> {
  const { isolation = 'read_committed', decompressedBytesMax } = options;
  const reader = new RecordSetReader(
    decompressedBytesMax === undefined ? { isolation } : { isolation, decompressedBytesMax },
  );
  return readBy(reader, bytes, options);
}

/** The same by a reader that may have read other answers before. */
export async function readBy(
  reader: RecordSetReader,
  bytes: Buffer,
  options: ReadOptions = {},
): Promise<ReadAnswer> {
  const { fetchOffset = 0, abortedTransactions = [] } = options;
  reader.begin(bytes, { fetchOffset, abortedTransactions });
  const records: RecordSpec[] = [];
  for (;;) {
    const prepared = reader.prepare();
    if (prepared !== undefined) await prepared;
    const columns = reader.next();
    if (columns === undefined) break;
    for (let index = 0; index < columns.count; index++) records.push(recordAt(columns, index));
  }
  return { records, nextOffset: reader.nextOffset, cutBatchBytes: reader.cutBatchBytes };
}

/** Record `index` with bytes of its own. */
export function recordAt(columns: RecordColumns, index: number): RecordSpec {
  return {
    key: field(columns.bytes, columns.keyStarts[index], columns.keyEnds[index]),
    value: field(columns.bytes, columns.valueStarts[index], columns.valueEnds[index]),
    timestamp: columns.timestamps[index] ?? Number.NaN,
    offset: columns.offsets[index] ?? Number.NaN,
    headers: readHeaders(columns, index).map(({ key, value }) => ({
      key,
      value: value === null ? null : Buffer.from(value),
    })),
  };
}

function field(bytes: Buffer, start = 0, end = 0): Buffer | null {
  return start < 0 ? null : Buffer.from(bytes.subarray(start, end));
}
