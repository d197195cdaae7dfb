import { deepStrictEqual } from 'node:assert';
import test from 'ava';
import fc from 'fast-check';
import { t } from '../../api/schema.js';
import { isMillraceError } from '../../core/errors.js';
import { validate } from '../../core/schema-validate.js';
import { compileValueCodec } from '../../core/value-codec.js';
import { schemaArbitrary, schemaWithValues, valueArbitrary } from './schema-arbitraries.js';

test('any value of any schema survives, and its bytes are always the same', (check) => {
  fc.assert(
    fc.property(schemaWithValues, ({ schema, values }) => {
      const codec = compileValueCodec(schema);
      for (const value of values) {
        const bytes = codec.encode(value);
        const decoded = codec.decode(bytes);
        deepStrictEqual(decoded, value);
        deepStrictEqual(compileValueCodec(schema).encode(decoded), bytes);
      }
    }),
    { numRuns: 300 },
  );
  check.pass();
});

test('the order in which a map was filled does not show in its bytes', (check) => {
  const codec = compileValueCodec(t.map(t.int32));
  const forward = new Map([
    ['a', 1],
    ['b', 2],
    ['é', 3],
  ]);
  const backward = new Map([...forward].reverse());
  check.deepEqual(codec.encode(forward), codec.encode(backward));
});

test('integers have one zero and numbers one NaN', (check) => {
  const integers = compileValueCodec(t.record({ a: t.int32, b: t.timestamp }));
  check.deepEqual(integers.encode({ a: -0, b: -0 }), integers.encode({ a: 0, b: 0 }));
  const numbers = compileValueCodec(t.float64);
  const otherNaN = new Float64Array(Uint32Array.of(1, 0xfff80000).buffer)[0] ?? 0;
  check.deepEqual(numbers.encode(otherNaN), numbers.encode(NaN));
});

test('a value is refused exactly when validation finds a problem', (check) => {
  fc.assert(
    fc.property(
      fc
        .tuple(schemaArbitrary(2), schemaArbitrary(2))
        .chain(([schema, other]) =>
          fc.tuple(
            fc.constant(schema),
            fc.oneof(valueArbitrary(schema), valueArbitrary(other), fc.anything()),
          ),
        ),
      ([schema, value]) => {
        const problem = validate(schema, value);
        try {
          compileValueCodec(schema).encode(value);
          deepStrictEqual(problem, undefined);
        } catch (error) {
          if (!isMillraceError(error)) throw error;
          deepStrictEqual(error.message.startsWith(`SCHEMA_MISMATCH: ${String(problem)};`), true);
        }
      },
    ),
    { numRuns: 1000 },
  );
  check.pass();
});

test('garbled or truncated bytes give a clean error or some value', (check) => {
  fc.assert(
    fc.property(
      schemaWithValues,
      fc.nat(),
      fc.nat({ max: 255 }),
      ({ schema, values }, at, byte) => {
        const codec = compileValueCodec(schema);
        for (const value of values) {
          const bytes = codec.encode(value);
          bytes[at % bytes.length] = byte;
          for (const kept of [bytes, bytes.subarray(0, at % bytes.length)]) {
            try {
              codec.decode(kept);
            } catch (error) {
              if (!(isMillraceError(error) && error.code === 'STORAGE_CORRUPT')) throw error;
            }
          }
        }
      },
    ),
    { numRuns: 400 },
  );
  check.pass();
});

test('bytes after the value are refused', (check) => {
  const codec = compileValueCodec(t.boolean);
  check.throws(() => codec.decode(Uint8Array.of(1, 0)), { message: /^STORAGE_CORRUPT: .*after/ });
});
