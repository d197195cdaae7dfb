/**
 * Gathers records of one partition into a record batch, encoding each straight into memory that is used again
 * for the next batch. Between the encoders of a sink and its requests. A batch never grows beyond its limit: a
 * record that does not fit is taken back, to be written into the next.
 */
import type { Encoder } from '../formats/format.js';
import type { Compression } from './compression.js';
import { compress } from './compression.js';
import { FIELD, MAGIC, writeCompression, writeLengthAndChecksum } from './record-batch-header.js';
import { MalformedBytes } from './record-batch-error.js';
import type { RecordHeader } from './record-columns.js';
import { sizeOfInt, writeDifference, writeInt } from './varint.js';

const FIRST_CAPACITY_BYTES = 4 * 1024;

/** Room for what precedes a field or record beside its bytes: length, attributes, timestamp, offset. */
const PREFIX_BYTES_MAX = 32;

/** An encoder may want more room than it fills, such as 3 bytes a character. */
const ROOM_FACTOR_MAX = 4;

const NO_HEADERS: readonly RecordHeader[] = [];

/**
 * A record is written in steps, so that formats encode in place:
 *
 *     builder.begin(timestamp);
 *     builder.writeBytes(key) | builder.writeEncoded(encoder, record);       // the key
 *     builder.writeBytes(value) | builder.writeEncoded(encoder, record);     // the value
 *     if (!builder.end(headers)) { send(builder.build()); ...write the record again }
 */
export class RecordBatchBuilder {
  readonly #batchBytesMax: number;
  #memory = Buffer.allocUnsafe(FIRST_CAPACITY_BYTES);
  /** End of the records that are in the batch; the one being written lies beyond. */
  #end: number = FIELD.records;
  /** End of what is written. */
  #position: number = FIELD.records;
  #count = 0;
  #baseTimestamp = 0;
  #maxTimestamp = 0;
  /** Of the record being written. */
  #timestamp = 0;
  /** Where its attributes stand; its length comes before, in as many bytes as the last record's took. */
  #bodyStart = 0;
  #lengthBytes = 1;
  /** 0: the key comes next, 1: the value. */
  #field = 0;
  /** How many bytes the length of the last encoded key and value took. */
  readonly #fieldLengthBytes = new Uint8Array([1, 1]);

  /** @param options.batchBytesMax size of an uncompressed batch; a topic's max.message.bytes bounds it */
  constructor(options: { readonly batchBytesMax: number }) {
    this.#batchBytesMax = options.batchBytesMax;
  }

  /** Exact size of the batch that `build` would give, uncompressed; compressed it may be larger by a little. */
  get sizeBytes(): number {
    return this.#end;
  }

  get count(): number {
    return this.#count;
  }

  /**
   * Begins a record, and drops one that was begun and not ended.
   * @param timestamp whole milliseconds since 1970, negative before; -1: none
   * @throws RangeError when it is no safe integer
   */
  begin(timestamp: number): void {
    if (!Number.isSafeInteger(timestamp)) {
      throw new RangeError(`a record's timestamp is whole milliseconds, not ${timestamp}`);
    }
    const memory = this.#room(this.#end, PREFIX_BYTES_MAX);
    if (this.#count === 0) this.#baseTimestamp = timestamp;
    this.#timestamp = timestamp;
    this.#bodyStart = this.#end + this.#lengthBytes;
    memory[this.#bodyStart] = 0; // attributes: no bit has a meaning yet
    const offsetStart = writeDifference(
      timestamp,
      this.#baseTimestamp,
      memory,
      this.#bodyStart + 1,
    );
    this.#position = writeInt(this.#count, memory, offsetStart);
    this.#field = 0;
  }

  /** Writes the key, then the value: the bytes, or null. */
  writeBytes(bytes: Uint8Array | null): void {
    this.#write(bytes);
    this.#field++;
  }

  /**
   * Writes the key or the value by its encoder.
   * @throws MalformedBytes when it is too large for a batch, and what the encoder throws
   */
  writeEncoded<T>(encoder: Encoder<T>, record: T): void {
    // The length comes before what is not encoded yet: in as many bytes as the last one's, mostly right.
    const guessedBytes = this.#fieldLengthBytes[this.#field] ?? 1;
    const start = this.#position + guessedBytes;
    let roomBytes = PREFIX_BYTES_MAX;
    let memory = this.#room(start, roomBytes);
    let end = encoder.encode(record, memory, start);
    while (end < 0) {
      if (roomBytes > ROOM_FACTOR_MAX * this.#batchBytesMax) throw this.#tooLarge();
      roomBytes = Math.max(2 * roomBytes, memory.length - start + 1);
      memory = this.#room(start, roomBytes);
      end = encoder.encode(record, memory, start);
    }
    const length = end - start;
    const lengthBytes = sizeOfInt(length);
    const shift = lengthBytes - guessedBytes;
    if (shift !== 0) {
      memory = this.#room(end, Math.max(0, shift));
      memory.copyWithin(start + shift, start, end);
      this.#fieldLengthBytes[this.#field] = lengthBytes;
    }
    writeInt(length, memory, this.#position);
    this.#position = end + shift;
    this.#field++;
  }

  /**
   * Ends the record.
   * @returns false when the batch would become too large by it: build the batch, then write the record again
   * @throws MalformedBytes when it is too large for a batch of its own
   */
  end(headers: readonly RecordHeader[] = NO_HEADERS): boolean {
    this.#writeHeaders(headers);
    const length = this.#position - this.#bodyStart;
    const lengthBytes = sizeOfInt(length);
    const shift = lengthBytes - this.#lengthBytes;
    if (this.#position + shift > this.#batchBytesMax) {
      if (this.#count === 0) throw this.#tooLarge(length);
      return false;
    }
    if (shift !== 0) {
      const memory = this.#room(this.#position, Math.max(0, shift));
      memory.copyWithin(this.#bodyStart + shift, this.#bodyStart, this.#position);
      this.#lengthBytes = lengthBytes;
      this.#position += shift;
    }
    writeInt(length, this.#memory, this.#end);
    this.#end = this.#position;
    this.#maxTimestamp =
      this.#count === 0 ? this.#timestamp : Math.max(this.#maxTimestamp, this.#timestamp);
    this.#count++;
    return true;
  }

  /** A whole record. @returns and throws as `end` */
  append(
    timestamp: number,
    key: Uint8Array | null,
    value: Uint8Array | null,
    headers: readonly RecordHeader[] = NO_HEADERS,
  ): boolean {
    this.begin(timestamp);
    this.writeBytes(key);
    this.writeBytes(value);
    return this.end(headers);
  }

  /** The batch, of no producer yet (see `stampBatch`), in bytes of its own; the builder is empty again. */
  build(): Buffer {
    const batch = Buffer.from(this.#memory.subarray(0, this.#end));
    batch.fill(0, 0, FIELD.records);
    batch.writeInt32BE(-1, FIELD.partitionLeaderEpoch);
    batch.writeInt8(MAGIC, FIELD.magic);
    batch.writeInt32BE(this.#count - 1, FIELD.lastOffsetDelta);
    batch.writeBigInt64BE(BigInt(this.#baseTimestamp), FIELD.baseTimestamp);
    batch.writeBigInt64BE(BigInt(this.#maxTimestamp), FIELD.maxTimestamp);
    batch.writeBigInt64BE(-1n, FIELD.producerId);
    batch.writeInt16BE(-1, FIELD.producerEpoch);
    batch.writeInt32BE(-1, FIELD.baseSequence);
    batch.writeInt32BE(this.#count, FIELD.recordCount);
    writeLengthAndChecksum(batch);
    this.#end = FIELD.records;
    this.#position = FIELD.records;
    this.#count = 0;
    // What one large record took is not kept for all those after it.
    if (this.#memory.length > 2 * this.#batchBytesMax) {
      this.#memory = Buffer.allocUnsafe(FIRST_CAPACITY_BYTES);
    }
    return batch;
  }

  #write(bytes: Uint8Array | null): void {
    const length = bytes === null ? -1 : bytes.length;
    const memory = this.#room(this.#position, PREFIX_BYTES_MAX + Math.max(0, length));
    const start = writeInt(length, memory, this.#position);
    if (bytes !== null) memory.set(bytes, start);
    this.#position = start + Math.max(0, length);
  }

  #writeHeaders(headers: readonly RecordHeader[]): void {
    const memory = this.#room(this.#position, PREFIX_BYTES_MAX);
    this.#position = writeInt(headers.length, memory, this.#position);
    for (const { key, value } of headers) {
      this.#write(Buffer.from(key));
      this.#write(value);
    }
  }

  /** The memory, with at least `bytes` free from `position` on. */
  #room(position: number, bytes: number): Buffer {
    const needed = position + bytes;
    if (needed <= this.#memory.length) return this.#memory;
    const grown = Buffer.allocUnsafe(Math.max(needed, 2 * this.#memory.length));
    this.#memory.copy(grown, 0, 0, position);
    this.#memory = grown;
    return grown;
  }

  /** @param recordBytes undefined: its encoder gave up before the end */
  #tooLarge(recordBytes?: number): MalformedBytes {
    const record = recordBytes === undefined ? 'a record' : `a record of ${recordBytes} bytes`;
    return new MalformedBytes(
      'too-large',
      `${record} does not fit a batch of ${this.#batchBytesMax} bytes`,
    );
  }
}

/** A built batch with its records compressed; to be done before `stampBatch`. Compresses off this thread. */
export async function compressBatch(batch: Buffer, compression: Compression): Promise<Buffer> {
  if (compression === 'none') return batch;
  const records = await compress(compression, batch.subarray(FIELD.records));
  const compressed = Buffer.concat([batch.subarray(0, FIELD.records), records]);
  writeCompression(compressed, compression);
  writeLengthAndChecksum(compressed);
  return compressed;
}
