/**
 * Record batches as brokers keep them, written plainly from what they should say: the reference that
 * the codec is tested against. It shares nothing with the codec but the checksum's package.
 */
import { crc32c } from '@node-rs/crc32';

export interface HeaderSpec {
  readonly key: string;
  readonly value: Uint8Array | null;
}

export interface RecordSpec {
  readonly key: Uint8Array | null;
  readonly value: Uint8Array | null;
  /** Of the record itself, not the difference. */
  readonly timestamp: number;
  readonly offset: number;
  readonly headers: readonly HeaderSpec[];
}

export interface BatchSpec {
  readonly records: readonly RecordSpec[];
  readonly baseOffset?: number;
  /** Default: the last record's, or the base offset. */
  readonly lastOffset?: number;
  readonly baseTimestamp?: number;
  readonly maxTimestamp?: number;
  readonly producerId?: bigint;
  readonly producerEpoch?: number;
  readonly transactional?: boolean;
  readonly control?: boolean;
  readonly logAppendTime?: boolean;
  readonly leaderEpoch?: number;
  readonly magic?: number;
  /** Number of the codec that `compressed` is in. */
  readonly codec?: number;
  /** What the records become; the default leaves them. */
  readonly compressed?: (records: Buffer) => Buffer;
  /** Lies of the header. */
  readonly recordCount?: number;
}

export const ABORT = 0;
export const COMMIT = 1;

export function encodeBatch(spec: BatchSpec): Buffer {
  const { records } = spec;
  const baseOffset = spec.baseOffset ?? records[0]?.offset ?? 0;
  const lastOffset = spec.lastOffset ?? records.at(-1)?.offset ?? baseOffset;
  const baseTimestamp = spec.baseTimestamp ?? records[0]?.timestamp ?? -1;
  const encoded = Buffer.concat(
    records.map((record) => encodeRecord(record, baseOffset, baseTimestamp)),
  );
  const body = spec.compressed === undefined ? encoded : spec.compressed(encoded);
  const attributes =
    (spec.codec ?? 0) |
    (spec.logAppendTime === true ? 0x08 : 0) |
    (spec.transactional === true ? 0x10 : 0) |
    (spec.control === true ? 0x20 : 0);
  const covered = Buffer.concat([
    int(attributes, 2),
    int(lastOffset - baseOffset, 4),
    int(baseTimestamp, 8),
    int(spec.maxTimestamp ?? Math.max(-1, ...records.map((record) => record.timestamp)), 8),
    int(spec.producerId ?? -1n, 8),
    int(spec.producerEpoch ?? -1, 2),
    int(-1, 4),
    int(spec.recordCount ?? records.length, 4),
    body,
  ]);
  const checksum = Buffer.alloc(4);
  checksum.writeUInt32BE(crc32c(covered));
  return Buffer.concat([
    int(baseOffset, 8),
    int(covered.length + 9, 4),
    int(spec.leaderEpoch ?? 0, 4),
    int(spec.magic ?? 2, 1),
    checksum,
    covered,
  ]);
}

/** The batch that ends a transaction: one record, whose key tells how. */
export function encodeMarker(
  kind: number,
  producerId: bigint,
  offset: number,
  producerEpoch = 0,
): Buffer {
  const key = Buffer.concat([int(0, 2), int(kind, 2)]);
  const value = Buffer.concat([int(0, 2), int(0, 4)]);
  return encodeBatch({
    records: [{ key, value, timestamp: 1, offset, headers: [] }],
    producerId,
    producerEpoch,
    transactional: true,
    control: true,
  });
}

export function record(offset: number, value: string, key: Uint8Array | null = null): RecordSpec {
  return {
    key,
    value: Buffer.from(value),
    timestamp: 1_700_000_000_000 + offset,
    offset,
    headers: [],
  };
}

/** The same batch with its records in another codec's bytes. */
export function withCodec(batch: Buffer, codec: number, compressed: Buffer): Buffer {
  const bytes = Buffer.concat([batch.subarray(0, 61), compressed]);
  bytes.writeInt16BE((bytes.readInt16BE(21) & ~0x07) | codec, 21);
  bytes.writeInt32BE(bytes.length - 12, 8);
  return restamp(bytes);
}

/** Sets the checksum anew after a lie was told. */
export function restamp(batch: Buffer): Buffer {
  batch.writeUInt32BE(crc32c(batch.subarray(21)), 17);
  return batch;
}

function encodeRecord(spec: RecordSpec, baseOffset: number, baseTimestamp: number): Buffer {
  const body = Buffer.concat([
    int(0, 1),
    varint(BigInt(spec.timestamp) - BigInt(baseTimestamp)),
    varint(BigInt(spec.offset - baseOffset)),
    bytes(spec.key),
    bytes(spec.value),
    varint(BigInt(spec.headers.length)),
    ...spec.headers.flatMap(({ key, value }) => [bytes(Buffer.from(key)), bytes(value)]),
  ]);
  return Buffer.concat([varint(BigInt(body.length)), body]);
}

function bytes(value: Uint8Array | null): Buffer {
  return value === null ? varint(-1n) : Buffer.concat([varint(BigInt(value.length)), value]);
}

export function varint(value: bigint): Buffer {
  let rest = BigInt.asUintN(64, (value << 1n) ^ (value >> 63n));
  const digits: number[] = [];
  while (rest > 0x7fn) {
    digits.push(Number(rest & 0x7fn) | 0x80);
    rest >>= 7n;
  }
  return Buffer.from([...digits, Number(rest)]);
}

function int(value: number | bigint, size: 1 | 2 | 4 | 8): Buffer {
  const buffer = Buffer.alloc(8);
  buffer.writeBigInt64BE(BigInt(value));
  return buffer.subarray(8 - size);
}
