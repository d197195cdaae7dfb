import test from 'ava';
import fc from 'fast-check';
import { isDeepStrictEqual } from 'node:util';
import { gzipSync } from 'node:zlib';
import zstd from '@mongodb-js/zstd';
import lz4 from 'lz4-napi';
import snappy from 'snappy';
import { RecordBatchError } from '../../../connectors/kafka/record-batch-error.js';
import { recordSetEnd } from '../../../connectors/kafka/record-set-end.js';
import { RecordSetReader } from '../../../connectors/kafka/record-set-reader.js';
import { encodeBatch, record, restamp, varint } from './batch-bytes.js';
import { readBy, readRecords } from './read-records.js';
import { draftRecords, placeRecords } from './record-batch-arbitraries.js';

const five = encodeBatch({ records: [0, 1, 2, 3, 4].map((i) => record(i, `v${i}`)) });
const next = encodeBatch({ records: [5, 6].map((i) => record(i, `v${i}`)) });

function values(records: readonly { readonly value: Uint8Array | null }[]): (string | null)[] {
  return records.map(({ value }) => (value === null ? null : Buffer.from(value).toString()));
}

test('batches with gaps are read in order, from any offset', async (t) => {
  const reader = new RecordSetReader({ isolation: 'read_uncommitted' });
  await fc.assert(
    fc.asyncProperty(
      fc.array(draftRecords, { maxLength: 4 }),
      fc.integer({ min: 0, max: 2 ** 52 }),
      fc.nat(),
      async (drafts, baseOffset, from) => {
        let offset = baseOffset;
        const batches = drafts.map((draft) => {
          const records = placeRecords(draft, offset);
          const lastOffset = (records.at(-1)?.offset ?? offset) + 3;
          const batch = {
            bytes: encodeBatch({ records, baseOffset: offset, lastOffset }),
            records,
            lastOffset,
          };
          offset = lastOffset + 1;
          return batch;
        });
        const all = batches.flatMap(({ records }) => records);
        const fetchOffset = baseOffset + (offset === baseOffset ? 0 : from % (offset - baseOffset));
        // A broker begins with the batch that holds the offset.
        const sent = batches.filter(({ lastOffset }) => lastOffset >= fetchOffset);
        const recordSet = Buffer.concat(sent.map(({ bytes }) => bytes));
        const read = await readBy(reader, recordSet, { fetchOffset });
        return isDeepStrictEqual(read, {
          records: all.filter((spec) => spec.offset >= fetchOffset),
          nextOffset: batches.length === 0 ? fetchOffset : offset,
          cutBatchBytes: undefined,
        });
      },
    ),
    { numRuns: 200 },
  );
  t.pass();
});

test('with the next offset goes the epoch of the leader that took what is before it', (t) => {
  const reader = new RecordSetReader({ isolation: 'read_committed' });
  const batch = (leaderEpoch: number, offset: number): Buffer =>
    encodeBatch({ leaderEpoch, records: [record(offset, 'v')] });
  const recordSet = Buffer.concat([batch(3, 0), batch(5, 1), batch(6, 2).subarray(0, 40)]);
  const from = { offset: 0, leaderEpoch: 2 };
  reader.begin(recordSet, { fetchOffset: 0, leaderEpoch: 2, abortedTransactions: [] });
  const seen = [reader.leaderEpoch];
  while (reader.next() !== undefined) {
    seen.push(reader.leaderEpoch);
    // That it has looked at another batch does not count.
    t.is(reader.prepare(), undefined);
    t.is(reader.leaderEpoch, seen.at(-1));
  }
  t.deepEqual(seen, [2, 3, 5]);
  t.deepEqual(recordSetEnd(recordSet, from), { offset: 2, leaderEpoch: 5 });
  t.deepEqual(recordSetEnd(recordSet.subarray(0, 60), from), from);
});

test('an answer without bytes leaves the offset where it was', async (t) => {
  const read = await readRecords(Buffer.alloc(0), { fetchOffset: 17 });
  t.deepEqual(read, { records: [], nextOffset: 17, cutBatchBytes: undefined });
});

test('a cut last batch is left for the next fetch, at every place of the cut', async (t) => {
  for (let cut = 0; cut < next.length; cut++) {
    const recordSet = Buffer.concat([five, next.subarray(0, cut)]);
    const read = await readRecords(recordSet, { fetchOffset: 1 });
    t.deepEqual(values(read.records), ['v1', 'v2', 'v3', 'v4']);
    t.is(read.nextOffset, 5);
    t.is(read.cutBatchBytes, undefined);
  }
});

test('a first batch larger than the answer says how large it is', async (t) => {
  for (const cut of [12, 17, 61, five.length - 1]) {
    const read = await readRecords(five.subarray(0, cut), { fetchOffset: 2 });
    t.deepEqual(read, { records: [], nextOffset: 2, cutBatchBytes: five.length });
  }
  const read = await readRecords(five.subarray(0, 11));
  t.is(read.cutBatchBytes, 61);
});

test('batches that compaction has emptied move the offset on', async (t) => {
  const emptied = encodeBatch({ records: [], baseOffset: 0, lastOffset: 99 });
  const after = encodeBatch({ records: [record(103, 'kept')], baseOffset: 100, lastOffset: 120 });
  const read = await readRecords(Buffer.concat([emptied, after]), { fetchOffset: 40 });
  t.deepEqual(values(read.records), ['kept']);
  t.is(read.nextOffset, 121);
  const alone = await readRecords(emptied, { fetchOffset: 40 });
  t.deepEqual(alone, { records: [], nextOffset: 100, cutBatchBytes: undefined });
  // All records at or after the offset asked for are gone, others are not.
  const before = await readRecords(after, { fetchOffset: 104 });
  t.deepEqual(before, { records: [], nextOffset: 121, cutBatchBytes: undefined });
});

test('an emptied batch stays readable in every codec', async (t) => {
  for (const codec of [1, 2, 3, 4]) {
    const emptied = encodeBatch({ records: [], baseOffset: 0, lastOffset: 3, codec });
    t.is((await readRecords(emptied)).nextOffset, 4);
  }
});

test('times are the broker’s where the topic says LogAppendTime, the producer’s otherwise', async (t) => {
  const records = [record(0, 'a'), { ...record(1, 'b'), timestamp: -86_400_000 }];
  const appended = encodeBatch({ records, logAppendTime: true, maxTimestamp: 1_800_000_000_000 });
  const read = await readRecords(appended);
  t.deepEqual(
    read.records.map(({ timestamp }) => timestamp),
    [1_800_000_000_000, 1_800_000_000_000],
  );
  const created = await readRecords(encodeBatch({ records }));
  t.deepEqual(
    created.records.map(({ timestamp }) => timestamp),
    [1_700_000_000_000, -86_400_000],
  );
});

test('snappy is read bare and in the frame of xerial, in several blocks', async (t) => {
  const long = Array.from({ length: 400 }, (_, i) => record(i, `${i} ${'ab'.repeat(i)}`));
  const bare = encodeBatch({
    records: long,
    codec: 2,
    compressed: (raw) => snappy.compressSync(raw),
  });
  const framed = encodeBatch({
    records: long,
    codec: 2,
    compressed: (raw) => {
      const parts: Buffer[] = [Buffer.from('82534e4150505900' + '00000001' + '00000001', 'hex')];
      for (let start = 0; start < raw.length; start += 1_000) {
        const block = snappy.compressSync(raw.subarray(start, start + 1_000));
        const length = Buffer.alloc(4);
        length.writeInt32BE(block.length);
        parts.push(length, block);
      }
      return Buffer.concat(parts);
    },
  });
  t.deepEqual((await readRecords(bare)).records, long);
  t.deepEqual((await readRecords(framed)).records, long);
});

test('a batch that would decompress beyond the limit is refused before it does', async (t) => {
  const records = [record(0, 'x'.repeat(3_000_000))];
  const zipped = await zstd.compress(Buffer.alloc(3_000_100, 'x'), 3);
  const bombs: [number, (raw: Buffer) => Buffer][] = [
    [1, (raw) => gzipSync(raw)],
    [2, (raw) => snappy.compressSync(raw)],
    [3, (raw) => lz4.compressFrameSync(raw)],
    [4, () => zipped],
  ];
  for (const [codec, compressed] of bombs) {
    const batch = encodeBatch({ records, codec, compressed });
    const error = await t.throwsAsync(readRecords(batch, { decompressedBytesMax: 1_000_000 }), {
      instanceOf: RecordBatchError,
    });
    t.is(error.kind, 'too-large');
    t.regex(error.message, /more than 1000000 bytes/);
  }
  const lie = encodeBatch({
    records,
    codec: 2,
    compressed: () => Buffer.from([0xff, 0xff, 0xff, 0xff, 0x0f, 0]),
  });
  await t.throwsAsync(readRecords(lie), { message: /more than 134217728 bytes/ });
});

test('bytes that are not of their codec are corrupt', async (t) => {
  const records = [record(0, 'text')];
  for (const codec of [1, 2, 3, 4]) {
    for (const bytes of [[], [1, 2, 3], new Array<number>(40).fill(0xff)]) {
      const batch = encodeBatch({ records, codec, compressed: () => Buffer.from(bytes) });
      const error = await t.throwsAsync(readRecords(batch), { instanceOf: RecordBatchError });
      t.is(error.kind, codec === 2 && bytes.length === 40 ? error.kind : 'corrupt');
    }
  }
});

test('old message formats name the remedy, unknown ones are refused', async (t) => {
  for (const [magic, message] of [
    [0, /format v0 .* copy the topic with a current producer/],
    [1, /format v1 .* copy the topic with a current producer/],
    [3, /format v3 is not known/],
  ] as const) {
    const batch = encodeBatch({ records: [record(0, 'a')], magic });
    const error = await t.throwsAsync(readRecords(batch), {
      instanceOf: RecordBatchError,
      message,
    });
    t.is(error.kind, 'unsupported');
  }
  // An entry of the old format may be shorter than a header of the new one.
  const entry = Buffer.alloc(40);
  entry.writeInt32BE(28, 8);
  entry[16] = 1;
  await t.throwsAsync(readRecords(entry), { message: /format v1/ });
  for (const codec of [5, 6, 7]) {
    await t.throwsAsync(readRecords(encodeBatch({ records: [record(0, 'a')], codec })), {
      message: new RegExp(`compression ${codec} is not known`),
    });
  }
});

test('an error says from where on nothing was handed out', async (t) => {
  const bad = Buffer.from(next);
  bad[bad.length - 1] = 0xff;
  const reader = new RecordSetReader({ isolation: 'read_committed' });
  reader.begin(Buffer.concat([five, bad]), { fetchOffset: 0, abortedTransactions: [] });
  t.is(reader.next()?.count, 5);
  for (const attempt of [() => reader.prepare(), () => reader.next()]) {
    const error = t.throws(attempt, { instanceOf: RecordBatchError });
    t.is(error.offset, 5);
    t.regex(error.message, /offset 5: its checksum/);
  }
  t.is(reader.nextOffset, 5);
  t.is((await readBy(reader, next, { fetchOffset: 5 })).nextOffset, 7);
});

test('offsets that cannot be, or cannot be told exactly, are refused', async (t) => {
  const edge = Number.MAX_SAFE_INTEGER - 1;
  const last = await readRecords(encodeBatch({ records: [record(edge, 'a')] }), {
    fetchOffset: edge,
  });
  t.is(last.nextOffset, Number.MAX_SAFE_INTEGER);
  for (const write of [
    (batch: Buffer) => batch.writeBigInt64BE(2n ** 53n - 1n, 0),
    (batch: Buffer) => batch.writeBigInt64BE(-1n, 0),
    (batch: Buffer) => batch.writeBigInt64BE(2n ** 63n - 1n, 0),
  ]) {
    const batch = Buffer.from(five);
    write(batch);
    await t.throwsAsync(readRecords(batch), { instanceOf: RecordBatchError });
  }
  await t.throwsAsync(readRecords(Buffer.concat([next, five])), { message: /do not come after/ });
  await t.throwsAsync(readRecords(five, { fetchOffset: 5 }), { message: /do not come after/ });
});

test('lies inside a batch of right checksum are found', async (t) => {
  const records = [
    { ...record(0, 'value', Buffer.from('key')), headers: [{ key: 'h', value: Buffer.from('w') }] },
    record(1, 'second'),
  ];
  const honest = encodeBatch({ records });
  t.deepEqual((await readRecords(honest)).records, records);
  const lies: [string, Buffer][] = [
    ['fewer records', encodeBatch({ records, recordCount: 1 })],
    ['more records', encodeBatch({ records, recordCount: 3 })],
    ['countless records', encodeBatch({ records, recordCount: 2 ** 31 - 1 })],
    ['negative count', encodeBatch({ records, recordCount: -5 })],
    ['offset beyond the last', encodeBatch({ records, lastOffset: 0 })],
    [
      'the same offset twice',
      encodeBatch({ records: [records[0] ?? record(0, ''), record(0, 'b')] }),
    ],
  ];
  for (const [what, batch] of lies) {
    await t.throwsAsync(readRecords(batch), { instanceOf: RecordBatchError }, what);
  }
  const first = 61;
  // Length, key length, value length, header count, header key length, header value length.
  for (const position of [first, first + 4, first + 8, first + 14, first + 15, first + 17]) {
    for (const length of [-2n, -100n, 0n, 40n, 63n, 1_000_000n, 2n ** 31n - 1n, 2n ** 40n]) {
      const lie = varint(length);
      const bytes = Buffer.concat([
        honest.subarray(0, position),
        lie,
        honest.subarray(position + 1),
      ]);
      bytes.writeInt32BE(bytes.length - 12, 8);
      await t.throwsAsync(
        readRecords(restamp(bytes)),
        { instanceOf: RecordBatchError },
        `${length} at ${position}`,
      );
    }
  }
});

test('zstd that was not prepared is a mistake of the caller', async (t) => {
  const bytes = await zstd.compress(Buffer.from('x'), 3);
  const batch = encodeBatch({ records: [record(0, 'a')], codec: 4, compressed: () => bytes });
  const reader = new RecordSetReader({ isolation: 'read_committed' });
  reader.begin(batch, { fetchOffset: 0, abortedTransactions: [] });
  t.throws(() => reader.next(), { code: 'INTERNAL', message: /prepare comes before next/ });
});
