/**
 * The head of a row that may expire: the second from which all of it is expired, and how many things
 * are in it, so that the state thread can remove it without knowing what it holds. Whoever reads a row still checks the exact times
 * within it; this one is only when looking at it can be spared.
 */
import { bufferOf } from './packed-bytes.js';

const HEADER_BYTES = 8;
const NEVER = 0;
const SECONDS_MAX = 0xffff_ffff;

/**
 * @param expiresAtMs ms since the epoch; undefined for a row that holds anything that stays
 * @param things how many things are in it
 */
export function withHeader(
  contents: Uint8Array,
  expiresAtMs: number | undefined,
  things: number,
): Uint8Array {
  const row = Buffer.allocUnsafe(HEADER_BYTES + contents.length);
  row.writeUInt32BE(expirySecond(expiresAtMs), 0);
  row.writeUInt32BE(things, 4);
  row.set(contents, HEADER_BYTES);
  return row;
}

export function withoutHeader(row: Uint8Array): Uint8Array {
  return row.subarray(HEADER_BYTES);
}

export function thingsIn(row: Uint8Array): number {
  return bufferOf(row).readUInt32BE(4);
}

export function isExpired(row: Uint8Array, nowSeconds: number): boolean {
  const second = bufferOf(row).readUInt32BE(0);
  return second !== NEVER && second <= nowSeconds;
}

/** Rounded up: a row goes up to a second late, never early. */
function expirySecond(expiresAtMs: number | undefined): number {
  if (expiresAtMs === undefined) return NEVER;
  const second = Math.ceil(expiresAtMs / 1000);
  return second > SECONDS_MAX ? NEVER : Math.max(1, second);
}
