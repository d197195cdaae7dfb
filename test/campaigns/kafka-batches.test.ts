import test from 'ava';
import { ABORT, restamp } from '../connectors/kafka/batch-bytes.js';
import type { AnswerReader, SentAnswer } from './kafka-batches.js';
import { mutateBatches, readAnswer } from './kafka-batches.js';

const SEED = 1;

test('20,000 mutated batches: an error or the right records', async (t) => {
  const report = await mutateBatches({ mutations: 20_000, seed: SEED });
  t.deepEqual(
    report.failures,
    [],
    `npm run campaign:kafka-batches -- --mutations 20000 --seed ${SEED}`,
  );
  // The mutations do bite, and what they leave alone is read.
  t.true(report.errors > 8_000);
  t.true(report.right > 2_000);
});

test('the same seed makes the same mutations', async (t) => {
  const [first, second] = [
    await mutateBatches({ mutations: 500, seed: 7 }),
    await mutateBatches({ mutations: 500, seed: 7 }),
  ];
  t.deepEqual({ ...first, slowestMs: 0 }, { ...second, slowestMs: 0 });
});

/** Calls with each whole batch of the answer, in bytes that may be changed. */
function withBatches(answer: SentAnswer, change: (batch: Buffer) => void): SentAnswer {
  const recordSet = Buffer.from(answer.recordSet);
  let position = 0;
  while (position + 61 <= recordSet.length) {
    const end = position + 12 + recordSet.readInt32BE(position + 8);
    if (end < position + 61 || end > recordSet.length) break;
    change(recordSet.subarray(position, end));
    position = end;
  }
  return { ...answer, recordSet };
}

/** The codec with a bug planted around it, which the campaign has to find. */
const bugs: Record<string, AnswerReader> = {
  'no checksum is checked': (answer) => readAnswer(withBatches(answer, restamp)),
  'the first marker of anyone ends the first aborted transaction': (answer) => {
    const [first] = [...answer.abortedTransactions].sort((a, b) => a.firstOffset - b.firstOffset);
    return readAnswer(
      withBatches(answer, (batch) => {
        if (first === undefined || (batch.readInt16BE(21) & 0x20) === 0) return;
        batch.writeBigInt64BE(first.producerId, 43);
        restamp(batch);
      }),
    );
  },
  'only markers of commit end a transaction': (answer) =>
    readAnswer(
      withBatches(answer, (batch) => {
        // A marker's record: length, attributes, timestamp, offset, key length, version, kind.
        if ((batch.readInt16BE(21) & 0x20) === 0 || batch[69] !== ABORT) return;
        batch[69] = 9;
        restamp(batch);
      }),
    ),
  'aborted transactions are not asked for': (answer) =>
    readAnswer({ ...answer, abortedTransactions: [] }),
  'what cannot be read is skipped': async (answer) => {
    const { records } = await readAnswer(answer);
    return { records, nextOffset: answer.nextOffset };
  },
  'a cut batch counts as read': async (answer) => {
    const reading = await readAnswer(answer);
    return reading.error === undefined ? { ...reading, nextOffset: answer.nextOffset } : reading;
  },
  'the last record of an answer is lost': async (answer) => {
    const reading = await readAnswer(answer);
    return { ...reading, records: reading.records.slice(0, -1) };
  },
  'an error of another kind escapes': async (answer) => {
    const { error, ...reading } = await readAnswer(answer);
    return error === undefined ? reading : { ...reading, error: new RangeError('out of bounds') };
  },
};

for (const [bug, read] of Object.entries(bugs)) {
  test(`the campaign finds a reader of which this is true: ${bug}`, async (t) => {
    const report = await mutateBatches({ mutations: 3_000, seed: SEED, read });
    t.true(report.failures.length > 0);
  });
}
