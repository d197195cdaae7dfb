/**
 * MurmurHash3 x86_32 over bytes. It decides which key group a key belongs to, so its results are
 * part of every checkpoint and must never change.
 */

const C1 = 0xcc9e2d51;
const C2 = 0x1b873593;

/** Mixes one little-endian block of four bytes into the running hash. */
export function murmur3Block(hash: number, block: number): number {
  const mixed = hash ^ murmur3Tail(block);
  return (Math.imul((mixed << 13) | (mixed >>> 19), 5) + 0xe6546b64) | 0;
}

/** Scrambles the last one to three bytes, which are xored into the hash without rotation. */
export function murmur3Tail(block: number): number {
  const k = Math.imul(block, C1);
  return Math.imul((k << 15) | (k >>> 17), C2);
}

/** Finishes the hash of `length` bytes. @returns unsigned 32-bit integer */
export function murmur3Finish(hash: number, length: number): number {
  let h = hash ^ length;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}

/**
 * @param bytes input; only the first `length` bytes count
 * @param seed any 32-bit integer
 * @returns unsigned 32-bit hash
 */
export function murmur3Hash32(bytes: Uint8Array, seed = 0, length = bytes.length): number {
  const blocksEnd = length & ~3;
  let hash = seed | 0;
  let i = 0;
  while (i < blocksEnd) {
    hash = murmur3Block(
      hash,
      byte(bytes, i) |
        (byte(bytes, i + 1) << 8) |
        (byte(bytes, i + 2) << 16) |
        (byte(bytes, i + 3) << 24),
    );
    i += 4;
  }
  let tail = 0;
  for (let shift = 0; i < length; i++, shift += 8) tail |= byte(bytes, i) << shift;
  if (length !== blocksEnd) hash ^= murmur3Tail(tail);
  return murmur3Finish(hash, length);
}

function byte(bytes: Uint8Array, index: number): number {
  return bytes[index] ?? 0;
}
