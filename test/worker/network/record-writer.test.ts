import test from 'ava';
import fc from 'fast-check';
import type { Buffer as ChannelBuffer } from '../../../worker/network/buffer.js';
import { RecordWriter } from '../../../worker/network/record-writer.js';
import { ResultSubpartition } from '../../../worker/network/result-subpartition.js';

const action = fc.oneof(
  { arbitrary: fc.record({ kind: fc.constant('write'), key: fc.nat(99) } as const), weight: 40 },
  { arbitrary: fc.record({ kind: fc.constant('credit'), key: fc.nat(99) } as const), weight: 10 },
  { arbitrary: fc.record({ kind: fc.constantFrom('flush', 'flushIdle') } as const), weight: 2 },
  { arbitrary: fc.record({ kind: fc.constant('event') } as const), weight: 1 },
);

test('property: what the writer knows of its channels is what asking each of them gives', (t) => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 70 }),
      fc.array(action, { maxLength: 400 }),
      (channels, actions) => {
        // Per channel: records written, and those of them that were sent or wait for credits in closed chunks.
        const written = new Array<number>(channels).fill(0);
        const sent = new Array<number>(channels).fill(0);
        const unreturned = new Array<number>(channels).fill(0);
        const subpartitions = written.map(
          (_, channel) =>
            new ResultSubpartition(
              channel,
              (number: number, buffer: ChannelBuffer) => {
                if (buffer.kind !== 'batch') return;
                sent[number] = (sent[number] ?? 0) + buffer.values.length;
                unreturned[number] = (unreturned[number] ?? 0) + 1;
              },
              undefined,
              () => 0,
            ),
        );
        const writer = new RecordWriter({
          partitioning: 'hash',
          subpartitions,
          maxParallelism: 100,
          selectKey: (key) => key as number,
          hashKey: (key) => key as number,
        });
        for (const one of actions) {
          switch (one.kind) {
            case 'write': {
              const channel = Math.floor((one.key * channels) / 100);
              written[channel] = (written[channel] ?? 0) + 1;
              writer.write(one.key, 0);
              break;
            }
            case 'credit': {
              const channel = one.key % channels;
              const count = unreturned[channel] ?? 0;
              unreturned[channel] = 0;
              if (count > 0) subpartitions[channel]?.addCredits(count);
              break;
            }
            case 'flush':
              writer.flush(true);
              t.false(writer.hasOpenChunk);
              break;
            case 'flushIdle':
              writer.flush(false);
              break;
            case 'event':
              writer.broadcast({ kind: 'watermark', timestamp: 1 });
              t.false(writer.hasOpenChunk);
              break;
          }
          t.is(
            writer.isFull,
            subpartitions.some(({ isFull }) => isFull),
          );
        }
        writer.flush(true);
        for (let round = 0; round < actions.length + 1; round++) {
          subpartitions.forEach((subpartition, channel) => {
            const count = unreturned[channel] ?? 0;
            unreturned[channel] = 0;
            if (count > 0) subpartition.addCredits(count);
          });
        }
        t.deepEqual(sent, written);
        t.false(writer.isFull);
        t.false(writer.hasOpenChunk);
      },
    ),
    { numRuns: 200 },
  );
});

test('a flush for idle receivers leaves chunks open whose receiver still has something', (t) => {
  const sent: number[] = [];
  const subpartitions = [0, 1].map(
    (channel) =>
      new ResultSubpartition(
        channel,
        (number) => sent.push(number),
        undefined,
        () => 0,
      ),
  );
  const writer = new RecordWriter({
    partitioning: 'rebalance',
    subpartitions,
    maxParallelism: 2,
    selectKey: undefined,
    hashKey: () => 0,
  });
  writer.write('a', 0);
  writer.flush(true);
  writer.write('b', 0);
  writer.write('c', 0);
  writer.flush(false);
  t.deepEqual(sent, [0, 1]);
  t.true(writer.hasOpenChunk);
  subpartitions[0]?.addCredits(1);
  writer.flush(false);
  t.deepEqual(sent, [0, 1, 0]);
});
