import { createRequire } from 'node:module';
import test from 'ava';
import * as fc from 'fast-check';
import { murmur2, partitionOfKey } from '../../../connectors/kafka/murmur2.js';

const kafkajs = createRequire(import.meta.url)(
  'kafkajs/src/producer/partitioners/default/murmur2.js',
) as (key: Buffer) => number;

test('the numbers of Kafka’s own test', (t) => {
  const known: Readonly<Record<string, number>> = {
    '21': -973932308,
    foobar: -790332482,
    'a-little-bit-long-string': -985981536,
    'a-little-bit-longer-string': -1486304829,
    lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8: -58897971,
    abc: 479470107,
  };
  for (const [text, hash] of Object.entries(known)) t.is(murmur2(Buffer.from(text)), hash, text);
});

test('any key as kafkajs has it, and within the partitions', (t) => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), fc.integer({ min: 1, max: 50 }), (key, count) => {
      const bytes = Buffer.from(key);
      const hash = kafkajs(bytes);
      return (
        murmur2(bytes) === hash && partitionOfKey(bytes, count) === (hash & 0x7fffffff) % count
      );
    }),
    { numRuns: 500 },
  );
  t.pass();
});
