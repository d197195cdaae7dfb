import test from 'ava';
import { murmur3Hash32 } from '../../core/murmur3.js';

/** Computed with Python's mmh3. */
const vectors: readonly [string, number, number][] = [
  ['', 0, 0],
  ['', 1, 1_364_076_727],
  ['', 0xffffffff, 2_180_083_513],
  ['a', 0, 1_009_084_850],
  ['ab', 0x9747b28c, 1_955_026_322],
  ['abc', 0, 3_017_643_002],
  ['abc', 1, 2_859_854_335],
  ['abcd', 0, 1_139_631_978],
  ['abcd', 0xffffffff, 729_662_808],
  ['Hello, world!', 0, 3_224_780_355],
  ['Hello, world!', 0x9747b28c, 612_912_314],
  ['größe', 0, 3_822_294_591],
  ['日本', 0, 3_302_619_458],
  ['user-000123', 0, 2_518_071_863],
];

for (const [text, seed, hash] of vectors) {
  test(`murmur3 of '${text}' with seed ${String(seed)}`, (check) => {
    check.is(murmur3Hash32(new TextEncoder().encode(text), seed), hash);
  });
}

test('murmur3 of all byte values', (check) => {
  const bytes = Uint8Array.from({ length: 256 }, (_, index) => index);
  check.is(murmur3Hash32(bytes), 3_825_864_278);
  check.is(murmur3Hash32(bytes, 1), 2_340_883_045);
});
