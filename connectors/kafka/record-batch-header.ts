/**
 * The fixed 61 bytes before the records of a batch (message format v2), read and stamped. Between the
 * bytes of a fetch and the decoding of records. The checksum covers all from the attributes on; what
 * lies before it (base offset, length, magic) is not covered and must never be trusted unchecked.
 */
import { crc32c } from '@node-rs/crc32';
import type { Compression } from './compression.js';
import { COMPRESSIONS } from './compression.js';
import { MalformedBytes } from './record-batch-error.js';

/** Positions of the fields in a batch. */
export const FIELD = {
  baseOffset: 0,
  length: 8,
  partitionLeaderEpoch: 12,
  magic: 16,
  crc: 17,
  attributes: 21,
  lastOffsetDelta: 23,
  baseTimestamp: 27,
  maxTimestamp: 35,
  producerId: 43,
  producerEpoch: 51,
  baseSequence: 53,
  recordCount: 57,
  records: 61,
} as const;

/** Bytes before those that the length field counts. */
export const LENGTH_PREFIX_BYTES = FIELD.partitionLeaderEpoch;

/** The message format of brokers since 0.11. */
export const MAGIC = 2;

const COMPRESSION_MASK = 0x07;
const LOG_APPEND_TIME = 0x08;
const TRANSACTIONAL = 0x10;
const CONTROL = 0x20;

/** The header of the batch last read; filled again by each `read`. */
export class RecordBatchHeader {
  /** Where the batch begins and ends in the bytes it was read from. */
  start = 0;
  end = 0;
  baseOffset = 0;
  /** Of the leader that took the batch; outside of the checksum. */
  leaderEpoch = -1;
  lastOffsetDelta = 0;
  recordCount = 0;
  baseTimestamp = 0;
  appendTimestamp: number | undefined = undefined;
  compression: Compression = 'none';
  transactional = false;
  control = false;
  producerId = -1n;

  get lastOffset(): number {
    return this.baseOffset + this.lastOffsetDelta;
  }

  get recordsStart(): number {
    return this.start + FIELD.records;
  }

  /**
   * Reads the batch at `start`, all of it present, and checks it.
   * @throws MalformedBytes when it is of another format, or does not match its checksum
   */
  read(bytes: Buffer, start: number, end: number): void {
    if (end - start <= FIELD.magic) throw tooShort(end - start);
    const magic = bytes.readInt8(start + FIELD.magic);
    if (magic === 0 || magic === 1) throw new MalformedBytes('unsupported', oldFormat(magic));
    if (magic !== MAGIC) {
      throw new MalformedBytes('unsupported', `message format v${magic} is not known`);
    }
    if (end - start < FIELD.records) throw tooShort(end - start);
    const checksum = crc32c(bytes.subarray(start + FIELD.attributes, end));
    if (checksum !== bytes.readUInt32BE(start + FIELD.crc)) {
      throw new MalformedBytes('corrupt', 'its checksum (CRC-32C) is wrong');
    }
    const attributes = bytes.readInt16BE(start + FIELD.attributes);
    const compression = COMPRESSIONS[attributes & COMPRESSION_MASK];
    if (compression === undefined) {
      throw new MalformedBytes(
        'unsupported',
        `compression ${attributes & COMPRESSION_MASK} is not known`,
      );
    }
    this.start = start;
    this.end = end;
    this.compression = compression;
    this.transactional = (attributes & TRANSACTIONAL) !== 0;
    this.control = (attributes & CONTROL) !== 0;
    this.baseOffset = readLong(bytes, start + FIELD.baseOffset);
    this.leaderEpoch = bytes.readInt32BE(start + FIELD.partitionLeaderEpoch);
    this.lastOffsetDelta = bytes.readInt32BE(start + FIELD.lastOffsetDelta);
    this.recordCount = bytes.readInt32BE(start + FIELD.recordCount);
    this.baseTimestamp = readLong(bytes, start + FIELD.baseTimestamp);
    this.appendTimestamp =
      (attributes & LOG_APPEND_TIME) === 0
        ? undefined
        : readLong(bytes, start + FIELD.maxTimestamp);
    this.producerId = bytes.readBigInt64BE(start + FIELD.producerId);
    if (this.baseOffset < 0 || this.lastOffsetDelta < 0 || this.recordCount < 0) {
      throw new MalformedBytes('corrupt', 'an offset or the number of records is negative');
    }
    // The offset after the batch has to be exact as well.
    if (this.lastOffset >= Number.MAX_SAFE_INTEGER) {
      throw new MalformedBytes('unsupported', 'its offsets are beyond 2^53');
    }
  }
}

/** Who writes a batch: what a broker needs to tell a retry from a new batch, and a zombie from its successor. */
export interface BatchStamp {
  readonly producerId: bigint;
  readonly producerEpoch: number;
  /** Sequence number of the first record in its partition, 0..2^31-1. */
  readonly baseSequence: number;
  readonly transactional: boolean;
}

/** Sets the producer's identity in a whole batch, in place, and its checksum anew; records stay as encoded. */
export function stampBatch(batch: Buffer, stamp: BatchStamp): void {
  const attributes = batch.readInt16BE(FIELD.attributes);
  batch.writeInt16BE(
    stamp.transactional ? attributes | TRANSACTIONAL : attributes & ~TRANSACTIONAL,
    FIELD.attributes,
  );
  batch.writeBigInt64BE(stamp.producerId, FIELD.producerId);
  batch.writeInt16BE(stamp.producerEpoch, FIELD.producerEpoch);
  batch.writeInt32BE(stamp.baseSequence, FIELD.baseSequence);
  writeChecksum(batch);
}

/** Whether a batch of ours bears this identity. */
export function isStampedBy(
  batch: Buffer,
  { producerId, producerEpoch }: Pick<BatchStamp, 'producerId' | 'producerEpoch'>,
): boolean {
  return (
    batch.readBigInt64BE(FIELD.producerId) === producerId &&
    batch.readInt16BE(FIELD.producerEpoch) === producerEpoch
  );
}

/** Sets which codec the records of a batch are in; the checksum is the caller's. */
export function writeCompression(batch: Buffer, compression: Compression): void {
  const attributes = batch.readInt16BE(FIELD.attributes);
  const number = COMPRESSIONS.indexOf(compression);
  batch.writeInt16BE((attributes & ~COMPRESSION_MASK) | number, FIELD.attributes);
}

/** Sets length and checksum of a whole batch by its bytes. */
export function writeLengthAndChecksum(batch: Buffer): void {
  batch.writeInt32BE(batch.length - LENGTH_PREFIX_BYTES, FIELD.length);
  writeChecksum(batch);
}

/** How many records a batch of ours has: its sequence numbers are as many. */
export function recordCountOf({ buffer, byteOffset }: Uint8Array): number {
  return new DataView(buffer, byteOffset).getInt32(FIELD.recordCount);
}

function writeChecksum(batch: Buffer): void {
  batch.writeUInt32BE(crc32c(batch.subarray(FIELD.attributes)), FIELD.crc);
}

/** A signed 64-bit integer, rounded beyond 2^53. */
function readLong(bytes: Buffer, position: number): number {
  return bytes.readInt32BE(position) * 2 ** 32 + bytes.readUInt32BE(position + 4);
}

function tooShort(bytes: number): MalformedBytes {
  return new MalformedBytes('corrupt', `${bytes} bytes are too few for a batch`);
}

function oldFormat(magic: number): string {
  return (
    `message format v${magic} is of brokers before 0.11 and is not read; ` +
    'copy the topic with a current producer, or raise its log.message.format.version and let the old segments expire'
  );
}
