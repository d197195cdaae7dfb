/**
 * Byte strings in the order of an ordered store, which compares unsigned bytes: the next one after
 * some bytes, all that begin with some bytes, and numbers whose bytes sort as the numbers do.
 */
import type { ByteRange } from './cold-database.js';

/** The least bytes that come after these. */
export function successorOf(bytes: Uint8Array): Uint8Array {
  const next = new Uint8Array(bytes.length + 1);
  next.set(bytes);
  return next;
}

/** Whatever begins with these bytes. @param prefix with a byte other than 255 */
export function prefixRange(prefix: Uint8Array): ByteRange {
  let end = prefix.length - 1;
  while (prefix[end] === 0xff) end--;
  const to = new Uint8Array(prefix.subarray(0, end + 1));
  to[end] = (to[end] ?? 0) + 1;
  return { from: prefix, to };
}

/** Any double but NaN; 0 and -0 are one. Negative ones lie inverted, others with the sign bit set. */
export function writeSortable(bytes: Buffer, value: number, at: number): void {
  bytes.writeDoubleBE(value + 0, at);
  flip(bytes, at, bytes.readUInt8(at) >= 0x80);
}

export function readSortable(bytes: Uint8Array, at: number): number {
  const copy = Buffer.from(bytes.subarray(at, at + 8));
  flip(copy, 0, copy.readUInt8(0) < 0x80);
  return copy.readDoubleBE(0);
}

/** Inverts all 8 bytes, or the sign alone. */
function flip(bytes: Buffer, at: number, all: boolean): void {
  if (!all) {
    bytes.writeUInt8(bytes.readUInt8(at) ^ 0x80, at);
    return;
  }
  bytes.writeUInt32BE(~bytes.readUInt32BE(at) >>> 0, at);
  bytes.writeUInt32BE(~bytes.readUInt32BE(at + 4) >>> 0, at + 4);
}
