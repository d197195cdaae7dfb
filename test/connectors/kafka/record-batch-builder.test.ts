import test from 'ava';
import { isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';
import { COMPRESSIONS } from '../../../connectors/kafka/compression.js';
import {
  compressBatch,
  RecordBatchBuilder,
} from '../../../connectors/kafka/record-batch-builder.js';
import { MalformedBytes } from '../../../connectors/kafka/record-batch-error.js';
import { recordCountOf, stampBatch } from '../../../connectors/kafka/record-batch-header.js';
import type { RecordSpec } from './batch-bytes.js';
import { encodeBatch } from './batch-bytes.js';
import { readRecords } from './read-records.js';
import { draftRecords, placeRecords } from './record-batch-arbitraries.js';

const BATCH_BYTES_MAX = 1_000_000;

/** An encoder of text that asks for the room that text could take at most, as real ones do. */
const textEncoder = {
  encode(text: string, target: Buffer, start: number): number {
    if (start + 3 * text.length > target.length) return -1;
    return start + target.write(text, start);
  },
};

function append(builder: RecordBatchBuilder, records: readonly RecordSpec[]): boolean[] {
  return records.map(({ timestamp, key, value, headers }) =>
    builder.append(timestamp, key, value, headers),
  );
}

/** Records of the same content, numbered as the builder does. */
function renumbered(records: readonly RecordSpec[]): RecordSpec[] {
  return records.map((spec, offset) => ({ ...spec, offset }));
}

for (const compression of COMPRESSIONS) {
  test(`what is built in ${compression} is read as it was`, async (t) => {
    const builder = new RecordBatchBuilder({ batchBytesMax: BATCH_BYTES_MAX });
    await fc.assert(
      fc.asyncProperty(draftRecords, async (drafts) => {
        const records = renumbered(placeRecords(drafts, 0));
        append(builder, records);
        const sizeBytes = builder.sizeBytes;
        const batch = builder.build();
        if (batch.length !== sizeBytes) return false;
        const compressed = await compressBatch(batch, compression);
        const read = await readRecords(compressed);
        return isDeepStrictEqual(read.records, records) && read.nextOffset === records.length;
      }),
      { numRuns: 60 },
    );
    t.pass();
  });
}

test('a built batch is byte for byte what the format says', (t) => {
  const builder = new RecordBatchBuilder({ batchBytesMax: BATCH_BYTES_MAX });
  fc.assert(
    fc.property(draftRecords, (drafts) => {
      const records = renumbered(placeRecords(drafts, 0));
      append(builder, records);
      const maxTimestamp = Math.max(...records.map((spec) => spec.timestamp));
      const expected = encodeBatch({ records, maxTimestamp });
      expected.writeInt32BE(-1, 12); // the leader epoch is the broker's to set
      return builder.build().equals(expected);
    }),
  );
  t.pass();
});

test('encoders that write in place give the same batch as bytes do', (t) => {
  const builder = new RecordBatchBuilder({ batchBytesMax: BATCH_BYTES_MAX });
  const text = fc.oneof(
    fc.string({ unit: 'grapheme', maxLength: 80 }),
    fc.integer({ min: 0, max: 20_000 }).map((size) => 'é'.repeat(size)),
  );
  fc.assert(
    fc.property(fc.array(fc.tuple(text, text), { minLength: 1, maxLength: 8 }), (pairs) => {
      for (const [key, value] of pairs) {
        builder.begin(7);
        builder.writeEncoded(textEncoder, key);
        builder.writeEncoded(textEncoder, value);
        if (!builder.end()) return false;
      }
      const encoded = builder.build();
      for (const [key, value] of pairs) builder.append(7, Buffer.from(key), Buffer.from(value));
      return encoded.equals(builder.build());
    }),
  );
  t.pass();
});

test('a batch has its limit to the byte; the record that does not fit opens the next', async (t) => {
  for (const batchBytesMax of [300, 301, 302, 1_000, 9_000]) {
    const builder = new RecordBatchBuilder({ batchBytesMax });
    const values = Array.from({ length: 300 }, (_, i) => Buffer.alloc(i % 190, i));
    const batches: Buffer[] = [];
    for (const value of values) {
      if (builder.append(5, null, value)) continue;
      const before = builder.sizeBytes;
      const batch = builder.build();
      t.is(batch.length, before);
      batches.push(batch);
      t.true(builder.append(5, null, value));
    }
    batches.push(builder.build());
    const read: unknown[] = [];
    for (const batch of batches) {
      t.true(batch.length <= batchBytesMax);
      read.push(...(await readRecords(batch)).records.map((spec) => spec.value));
    }
    t.deepEqual(read, values);
    // No batch but the last could have taken what opened its successor.
    let first = 0;
    batches.slice(0, -1).forEach((batch) => {
      first += recordCountOf(batch);
      t.true(batch.length + (values[first]?.length ?? 0) + 12 > batchBytesMax);
    });
  }
});

test('a record exactly as large as a batch may be fits, one byte more is an error', (t) => {
  const builder = new RecordBatchBuilder({ batchBytesMax: 61 + 109 });
  t.true(builder.append(0, null, Buffer.alloc(100)));
  t.is(builder.sizeBytes, 61 + 109);
  builder.build();
  t.throws(() => builder.append(0, null, Buffer.alloc(101)), {
    instanceOf: MalformedBytes,
    message: /does not fit a batch of 170 bytes/,
  });
  builder.begin(0);
  builder.writeBytes(null);
  t.throws(() => builder.writeEncoded(textEncoder, 'x'.repeat(5_000)), {
    instanceOf: MalformedBytes,
  });
  t.is(builder.count, 0);
  t.true(builder.append(0, null, Buffer.alloc(100)));
});

test('a record that its encoder refuses leaves no trace', async (t) => {
  const builder = new RecordBatchBuilder({ batchBytesMax: BATCH_BYTES_MAX });
  const refusing = {
    encode(): number {
      throw new Error('no such field');
    },
  };
  builder.append(1, null, Buffer.from('a'));
  builder.begin(99);
  builder.writeBytes(Buffer.from('lost'));
  t.throws(() => builder.writeEncoded(refusing, 0), { message: 'no such field' });
  t.is(builder.count, 1);
  builder.append(2, null, Buffer.from('b'));
  const { records } = await readRecords(builder.build());
  t.deepEqual(
    records.map(({ key, value, timestamp }) => [key, value?.toString(), timestamp]),
    [
      [null, 'a', 1],
      [null, 'b', 2],
    ],
  );
});

test('a timestamp that is no whole number of milliseconds is refused', (t) => {
  const builder = new RecordBatchBuilder({ batchBytesMax: BATCH_BYTES_MAX });
  for (const timestamp of [Number.NaN, 1.5, Number.POSITIVE_INFINITY, 2 ** 60]) {
    t.throws(() => builder.append(timestamp, null, null), { instanceOf: RangeError });
  }
});

test('many records: offsets beyond two bytes of length', async (t) => {
  const builder = new RecordBatchBuilder({ batchBytesMax: 16 * BATCH_BYTES_MAX });
  const count = 1_100_000;
  for (let index = 0; index < count; index++) builder.append(index, null, null);
  const { nextOffset, records } = await readRecords(builder.build(), { fetchOffset: count - 2 });
  t.is(nextOffset, count);
  t.deepEqual(
    records.map(({ offset, timestamp }) => [offset, timestamp]),
    [
      [count - 2, count - 2],
      [count - 1, count - 1],
    ],
  );
});

test('a stamp changes who wrote a batch, and not what', async (t) => {
  const builder = new RecordBatchBuilder({ batchBytesMax: BATCH_BYTES_MAX });
  builder.append(3, Buffer.from('k'), Buffer.from('v'));
  const unstamped = builder.build();
  for (const compression of COMPRESSIONS) {
    const batch = await compressBatch(unstamped, compression);
    const plain = Buffer.from(batch);
    const stamp = { producerId: 2n ** 40n + 5n, producerEpoch: 12, baseSequence: 2 ** 31 - 1 };
    stampBatch(batch, { ...stamp, transactional: true });
    t.is(batch.readBigInt64BE(43), stamp.producerId);
    t.is(batch.readInt16BE(51), 12);
    t.is(batch.readInt32BE(53), 2 ** 31 - 1);
    const aborted = [{ producerId: stamp.producerId, firstOffset: 0 }];
    t.is((await readRecords(batch)).records.length, 1);
    t.is((await readRecords(batch, { abortedTransactions: aborted })).records.length, 0);
    stampBatch(batch, { ...stamp, transactional: false });
    t.is((await readRecords(batch, { abortedTransactions: aborted })).records.length, 1);
    stampBatch(batch, {
      producerId: -1n,
      producerEpoch: -1,
      baseSequence: -1,
      transactional: false,
    });
    t.deepEqual(batch, plain);
  }
});
