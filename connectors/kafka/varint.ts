/**
 * Variable-length integers of Kafka's record format: 7 bits a byte, lowest first, signed by zigzag.
 * The cursor stands in the loop over records: one byte is the usual case and takes the short way.
 * It must never read outside of its bytes; what lies beyond them reads as 0.
 */
import { MalformedBytes } from './record-batch-error.js';

const EMPTY = Buffer.alloc(0);

/** Longest encodings in bytes. */
const VARINT_BYTES_MAX = 5;
const VARLONG_BYTES_MAX = 10;

/** Walks over bytes; `position` is the next byte to read. */
export class VarintCursor {
  bytes: Buffer = EMPTY;
  position = 0;

  /**
   * A signed 32-bit integer.
   * @throws MalformedBytes when it is longer than 5 bytes
   */
  readInt(): number {
    const first = this.bytes[this.position++] ?? 0;
    if (first < 0x80) return (first >>> 1) ^ -(first & 1);
    const second = this.bytes[this.position++] ?? 0;
    const low = (first & 0x7f) | (second << 7);
    if (second < 0x80) return (low >>> 1) ^ -(low & 1);
    return this.#readLongInt(low & 0x3fff);
  }

  /**
   * A signed 64-bit integer as a number.
   * @throws MalformedBytes when it is longer than 10 bytes
   */
  readLong(): number {
    const start = this.position;
    const first = this.bytes[this.position++] ?? 0;
    if (first < 0x80) return (first >>> 1) ^ -(first & 1);
    const second = this.bytes[this.position++] ?? 0;
    const low = (first & 0x7f) | (second << 7);
    if (second < 0x80) return (low >>> 1) ^ -(low & 1);
    this.position = start;
    return this.#readLongLong();
  }

  #readLongInt(low: number): number {
    let value = low;
    for (let index = 2; index < VARINT_BYTES_MAX; index++) {
      const byte = this.bytes[this.position++] ?? 0;
      value |= (byte & 0x7f) << (7 * index);
      if (byte < 0x80) return (value >>> 1) ^ -(value & 1);
    }
    throw new MalformedBytes('corrupt', `a varint is longer than ${VARINT_BYTES_MAX} bytes`);
  }

  #readLongLong(): number {
    let value = 0n;
    for (let index = 0; index < VARLONG_BYTES_MAX; index++) {
      const byte = this.bytes[this.position++] ?? 0;
      value |= BigInt(byte & 0x7f) << BigInt(7 * index);
      if (byte < 0x80) return Number(BigInt.asIntN(64, (value >> 1n) ^ -(value & 1n)));
    }
    throw new MalformedBytes('corrupt', `a varlong is longer than ${VARLONG_BYTES_MAX} bytes`);
  }
}

/** Bytes that `writeInt` takes for a signed 32-bit integer: 1..5. */
export function sizeOfInt(value: number): number {
  const zigzag = ((value << 1) ^ (value >> 31)) >>> 0;
  if (zigzag < 0x80) return 1;
  if (zigzag < 0x4000) return 2;
  if (zigzag < 0x200000) return 3;
  return zigzag < 0x10000000 ? 4 : 5;
}

/** Writes a signed 32-bit integer and returns the end; 5 bytes of room suffice. */
export function writeInt(value: number, target: Buffer, start: number): number {
  let zigzag = ((value << 1) ^ (value >> 31)) >>> 0;
  let position = start;
  while (zigzag >= 0x80) {
    target[position++] = (zigzag & 0x7f) | 0x80;
    zigzag >>>= 7;
  }
  target[position++] = zigzag;
  return position;
}

/** Writes `left - right`, both safe integers, as a varlong and returns the end; 10 bytes of room suffice. */
export function writeDifference(
  left: number,
  right: number,
  target: Buffer,
  start: number,
): number {
  const difference = left - right;
  if (difference === (difference | 0)) return writeInt(difference, target, start);
  // The difference of two safe integers need not be one.
  const exact = BigInt(left) - BigInt(right);
  let zigzag = BigInt.asUintN(64, (exact << 1n) ^ (exact >> 63n));
  let position = start;
  while (zigzag >= 0x80n) {
    target[position++] = Number(zigzag & 0x7fn) | 0x80;
    zigzag >>= 7n;
  }
  target[position++] = Number(zigzag);
  return position;
}
