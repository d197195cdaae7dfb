/**
 * The records of one batch as columns of positions over its bytes, so that a batch costs no object per
 * record. Made by RecordSetReader, read by the source's loop. Nothing here may outlive the next batch:
 * the columns are filled again.
 */
import { MalformedBytes } from './record-batch-error.js';
import { VarintCursor } from './varint.js';

/** Records of one batch; index 0..count-1. Valid until the reader's next `next()` or `begin()`. */
export interface RecordColumns {
  /** All positions below point into it. */
  readonly bytes: Buffer;
  readonly count: number;
  /** Increasing, but not dense: compaction leaves gaps. */
  readonly offsets: Float64Array;
  /** Milliseconds since 1970, negative before; -1 when the producer set none. Rounded beyond 2^53. */
  readonly timestamps: Float64Array;
  /** Start -1: the key is null. */
  readonly keyStarts: Int32Array;
  readonly keyEnds: Int32Array;
  /** Start -1: the value is null (a tombstone). */
  readonly valueStarts: Int32Array;
  readonly valueEnds: Int32Array;
  /** Where the headers begin; `readHeaders` makes them on demand. */
  readonly headerStarts: Int32Array;
}

export interface RecordHeader {
  readonly key: string;
  readonly value: Uint8Array | null;
}

/** What of a batch's header the decoding of its records needs. */
export interface RecordsFrame {
  readonly baseOffset: number;
  readonly lastOffsetDelta: number;
  readonly recordCount: number;
  readonly baseTimestamp: number;
  /** The broker's time for all records of the batch, when the topic says LogAppendTime. */
  readonly appendTimestamp: number | undefined;
}

/** Length, attributes, timestamp, offset, key, value, headers: each at least a byte. */
const RECORD_BYTES_MIN = 7;

const cursor = new VarintCursor();

export class RecordColumnBuffers implements RecordColumns {
  bytes: Buffer = cursor.bytes;
  count = 0;
  offsets = new Float64Array(0);
  timestamps = new Float64Array(0);
  keyStarts = new Int32Array(0);
  keyEnds = new Int32Array(0);
  valueStarts = new Int32Array(0);
  valueEnds = new Int32Array(0);
  headerStarts = new Int32Array(0);

  /**
   * Fills the columns with the records in bytes [start, end), those before `fetchOffset` left out.
   * @throws MalformedBytes when they are not exactly the records that the frame tells of
   */
  decode(
    bytes: Buffer,
    start: number,
    end: number,
    frame: RecordsFrame,
    fetchOffset: number,
  ): void {
    const { recordCount, baseOffset, baseTimestamp, lastOffsetDelta, appendTimestamp } = frame;
    if (recordCount > (end - start) / RECORD_BYTES_MIN) {
      throw new MalformedBytes('corrupt', `${recordCount} records in ${end - start} bytes`);
    }
    this.#reserve(recordCount);
    this.bytes = bytes;
    this.count = 0;
    cursor.bytes = bytes;
    cursor.position = start;
    let previousDelta = -1;
    let index = 0;
    for (let record = 0; record < recordCount; record++) {
      const length = cursor.readInt();
      const recordEnd = cursor.position + length;
      if (length < RECORD_BYTES_MIN - 1 || recordEnd > end) {
        throw new MalformedBytes('corrupt', `a record of ${length} bytes does not fit its batch`);
      }
      cursor.position++; // attributes: no bit has a meaning yet
      const timestampDelta = cursor.readLong();
      const delta = cursor.readInt();
      const keyLength = cursor.readInt();
      const keyStart = cursor.position;
      if (keyLength > 0) cursor.position += keyLength;
      const keyEnd = cursor.position;
      const valueLength = cursor.readInt();
      const valueStart = cursor.position;
      if (valueLength > 0) cursor.position += valueLength;
      const valueEnd = cursor.position;
      // The header count is still to come, so that even an empty one leaves a byte.
      if (valueEnd >= recordEnd || keyLength < -1 || valueLength < -1) {
        throw new MalformedBytes('corrupt', 'a key or a value does not fit its record');
      }
      const headerCount = cursor.readInt();
      if (headerCount !== 0) skipHeaders(headerCount, recordEnd);
      if (cursor.position !== recordEnd) {
        throw new MalformedBytes('corrupt', 'the headers of a record do not end with it');
      }
      if (delta <= previousDelta || delta > lastOffsetDelta) {
        throw new MalformedBytes('corrupt', 'offsets do not increase within the batch');
      }
      previousDelta = delta;
      const offset = baseOffset + delta;
      if (offset < fetchOffset) continue;
      this.offsets[index] = offset;
      this.timestamps[index] = appendTimestamp ?? baseTimestamp + timestampDelta;
      this.keyStarts[index] = keyLength < 0 ? -1 : keyStart;
      this.keyEnds[index] = keyEnd;
      this.valueStarts[index] = valueLength < 0 ? -1 : valueStart;
      this.valueEnds[index] = valueEnd;
      this.headerStarts[index] = valueEnd;
      index++;
    }
    if (cursor.position !== end) {
      throw new MalformedBytes('corrupt', `${end - cursor.position} bytes follow the last record`);
    }
    this.count = index;
  }

  #reserve(count: number): void {
    if (this.offsets.length >= count) return;
    const capacity = 2 ** Math.ceil(Math.log2(count));
    this.offsets = new Float64Array(capacity);
    this.timestamps = new Float64Array(capacity);
    this.keyStarts = new Int32Array(capacity);
    this.keyEnds = new Int32Array(capacity);
    this.valueStarts = new Int32Array(capacity);
    this.valueEnds = new Int32Array(capacity);
    this.headerStarts = new Int32Array(capacity);
  }
}

/** Headers of record `index`, in the order written; a key may come more than once. Values are views of the bytes. */
export function readHeaders(columns: RecordColumns, index: number): RecordHeader[] {
  const { bytes } = columns;
  cursor.bytes = bytes;
  cursor.position = columns.headerStarts[index] ?? bytes.length;
  const headers: RecordHeader[] = [];
  for (let left = cursor.readInt(); left > 0; left--) {
    const keyLength = cursor.readInt();
    const key = bytes.toString('utf8', cursor.position, cursor.position + keyLength);
    cursor.position += keyLength;
    const valueLength = cursor.readInt();
    const value =
      valueLength < 0 ? null : bytes.subarray(cursor.position, cursor.position + valueLength);
    cursor.position += Math.max(0, valueLength);
    headers.push({ key, value });
  }
  return headers;
}

/** Moves the cursor over the headers; `readHeaders` relies on this having been through them. */
function skipHeaders(count: number, recordEnd: number): void {
  if (count < 0) throw new MalformedBytes('corrupt', `a record has ${count} headers`);
  for (let left = count; left > 0; left--) {
    const keyLength = cursor.readInt();
    cursor.position += keyLength;
    const valueLength = cursor.readInt();
    if (valueLength > 0) cursor.position += valueLength;
    if (keyLength < 0 || valueLength < -1 || cursor.position > recordEnd) {
      throw new MalformedBytes('corrupt', 'a header does not fit its record');
    }
  }
}
