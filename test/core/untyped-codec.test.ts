import { deepStrictEqual } from 'node:assert';
import test from 'ava';
import fc from 'fast-check';
import { isMillraceError } from '../../core/errors.js';
import type { DecodedChunk } from '../../core/record-codec.js';
import { compileUntypedCodec } from '../../core/untyped-codec.js';

function emptyChunk(): DecodedChunk<unknown> {
  return { values: [], timestamps: new Float64Array(0), count: 0 };
}

/** Of any shape, but without -0, which arrives as 0. */
const plain = fc.anything({
  values: [
    fc.boolean(),
    fc.integer(),
    fc.double().map((value) => value + 0),
    fc.string({ unit: 'binary' }),
    fc.constantFrom(null, undefined),
    // Node's own comparison has one invalid date differ from the next.
    fc.date({ noInvalidDate: true }),
  ],
  withBigInt: true,
  withMap: true,
  withSet: true,
  withTypedArray: true,
  withNullPrototype: false,
  key: fc.string().filter((name) => name !== '__proto__' && name !== 'toJSON'),
});

test('plain data of any shape survives a chunk', (check) => {
  const codec = compileUntypedCodec();
  fc.assert(
    fc.property(fc.array(plain, { maxLength: 5 }), (values) => {
      const timestamps = values.map((_, index) => index - 1);
      const chunk = codec.decode(codec.encode(values, timestamps), emptyChunk());
      deepStrictEqual(chunk.values, values);
      deepStrictEqual([...chunk.timestamps], timestamps);
    }),
    { numRuns: 500 },
  );
  check.pass();
});

test('an invalid date stays one', (check) => {
  const codec = compileUntypedCodec();
  const chunk = codec.decode(codec.encode([new Date(NaN)], [0]), emptyChunk());
  check.deepEqual(chunk.values.map(String), ['Invalid Date']);
});

test('each chunk stands alone, so any one can be opened first', (check) => {
  const builder = compileUntypedCodec<{ a: number; b: string }>().builder();
  const pack = (a: number): Uint8Array => {
    builder.append({ a, b: 'x' }, a);
    return builder.finish();
  };
  pack(1);
  const second = pack(2);
  const chunk = compileUntypedCodec().decode(second, emptyChunk());
  check.deepEqual(chunk.values, [{ a: 2, b: 'x' }]);
  check.is(second.byteLength, second.buffer.byteLength);
});

class Point {
  constructor(readonly x: number) {}
}
const circular: { self?: unknown } = {};
circular.self = circular;
let shared: unknown[] = [];
for (let i = 0; i < 60; i++) shared = [shared, shared];

for (const [what, value, message] of [
  ['a function', { a: () => 1 }, `field 'a': function`],
  ['a symbol', [Symbol('s')], `field '[0]': symbol`],
  ['a class instance', { p: new Point(1) }, `field 'p': an object of class Point`],
  ['a circular reference', circular, 'circular'],
  ['endless sharing', shared, 'too many parts'],
  ['an error', new Error('x'), 'class Error'],
] as const) {
  test(`${what} is refused, and the builder goes on`, (check) => {
    const codec = compileUntypedCodec();
    const builder = codec.builder();
    const error = check.throws(() => {
      builder.append(value, 0);
    });
    check.true(isMillraceError(error) && error.code === 'SCHEMA_MISMATCH');
    check.true(error.message.includes(message), error.message);
    check.true(error.message.includes('give the operator a schema'));
    builder.append(1, 0);
    check.deepEqual(codec.decode(builder.finish(), emptyChunk()).values, [1]);
  });
}

test('a garbled or truncated chunk is refused', (check) => {
  const codec = compileUntypedCodec();
  const chunk = codec.encode([{ a: 'text', b: [1, 2] }, 7], [1, 2]);
  const refused = { message: /^WIRE_CORRUPT: / };
  for (let at = 0; at < chunk.length; at++) {
    check.throws(() => codec.decode(chunk.subarray(0, at), emptyChunk()), refused);
    const flipped = chunk.slice();
    flipped[at] = (flipped[at] ?? 0) ^ 0x10;
    check.throws(() => codec.decode(flipped, emptyChunk()), refused);
  }
});
