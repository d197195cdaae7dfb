import { deepStrictEqual, notDeepStrictEqual } from 'node:assert';
import test from 'ava';
import fc from 'fast-check';
import { decodeKey, encodeKey, keyHash, type Key } from '../../core/key-codec.js';
import { murmur3Hash32 } from '../../core/murmur3.js';
import { textArbitrary } from './schema-arbitraries.js';

const scalarKey = fc.oneof(
  textArbitrary,
  fc.double({ noNaN: true }).map((value) => value + 0),
  fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
  fc.boolean(),
);
const anyKey: fc.Arbitrary<Key> = fc.oneof(
  scalarKey,
  fc.array(scalarKey, { maxLength: 3 }),
  fc.dictionary(textArbitrary, scalarKey, { maxKeys: 3 }).map((record) => ({ ...record })),
);

test('a key comes back from its bytes, and its hash is that of the bytes', (check) => {
  fc.assert(
    fc.property(anyKey, (key) => {
      const bytes = encodeKey(key);
      deepStrictEqual(decodeKey(bytes), key);
      deepStrictEqual(keyHash(key), murmur3Hash32(bytes));
    }),
    { numRuns: 1000 },
  );
  check.pass();
});

test('different keys have different bytes', (check) => {
  fc.assert(
    fc.property(anyKey, anyKey, (left, right) => {
      fc.pre(!sameKey(left, right));
      notDeepStrictEqual(encodeKey(left), encodeKey(right));
    }),
  );
  const keys: Key[] = ['1', 1, 1n, true, 'true', ['1'], { a: '1' }, ['a', 'b'], ['ab'], [], {}];
  keys.push('\ud800', '\udfff', '\ufffd', '', false, { b: '1' }, ['1', '']);
  const encoded = keys.map((key) => Buffer.from(encodeKey(key)).toString('hex'));
  check.is(new Set(encoded).size, keys.length);
});

function sameKey(left: Key, right: Key): boolean {
  try {
    deepStrictEqual(left, right);
    return true;
  } catch {
    return false;
  }
}

test('a record is one key whatever the order of its fields', (check) => {
  check.deepEqual(encodeKey({ b: 1, a: 'x' }), encodeKey({ a: 'x', b: 1 }));
});

test('0 and -0 are one key', (check) => {
  check.is(keyHash(0), keyHash(-0));
  check.deepEqual(encodeKey([0]), encodeKey([-0]));
});

test('hashes never change', (check) => {
  // Python's mmh3 over the tag and the UTF-8 bytes.
  check.is(keyHash('user-000123'), 425_536_035);
  check.is(keyHash(''), 3_831_157_163);
  check.is(keyHash('größe'), 3_042_916_828);
  check.is(keyHash(42), 4_148_030_069);
});

for (const [what, key] of [
  ['NaN', NaN],
  ['a bigint of 65 bits', 2n ** 63n],
  ['null', null],
  ['nothing', undefined],
  ['a nested record', { a: { b: 1 } }],
  ['NaN in a tuple', [1, NaN]],
  ['a date', new Date(0)],
  ['a map', new Map()],
] as const) {
  test(`${what} can't be a key`, (check) => {
    for (const use of [encodeKey, keyHash]) {
      check.throws(() => use(key as unknown as Key), {
        message: /^SCHEMA_MISMATCH: key.*key by a/,
      });
    }
  });
}
