import test from 'ava';
import { isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';
import type { AbortedTransaction } from '../../../connectors/kafka/aborted-transactions.js';
import { RecordSetReader } from '../../../connectors/kafka/record-set-reader.js';
import type { RecordSpec } from './batch-bytes.js';
import { ABORT, COMMIT, encodeBatch, encodeMarker, record } from './batch-bytes.js';
import { PartitionLog } from './partition-log.js';
import { readRecords } from './read-records.js';

const A = 4_000n;
const B = 4_001n;

function written(producerId: bigint, offset: number, value: string, key?: Uint8Array): Buffer {
  return encodeBatch({ records: [record(offset, value, key)], producerId, transactional: true });
}

async function visible(
  batches: readonly Buffer[],
  abortedTransactions: readonly AbortedTransaction[],
  fetchOffset = 0,
): Promise<string[]> {
  const read = await readRecords(Buffer.concat(batches), { abortedTransactions, fetchOffset });
  return read.records.map(({ value }) => String(value));
}

test('two aborted transactions, the later one ended first: the broker names them out of order', async (t) => {
  const batches = [
    written(A, 0, 'A-aborted-0'),
    written(B, 1, 'B-aborted'),
    encodeMarker(ABORT, B, 2),
    written(A, 3, 'A-aborted-1'),
    encodeMarker(ABORT, A, 4),
    encodeBatch({ records: [record(5, 'plain')] }),
  ];
  const aborted = [
    { producerId: B, firstOffset: 1 },
    { producerId: A, firstOffset: 0 },
  ];
  t.deepEqual(await visible(batches, aborted), ['plain']);
});

test('an aborted record whose key looks like a marker’s ends nothing', async (t) => {
  const batches = [
    written(A, 0, 'A-aborted-key0', Buffer.alloc(4)),
    written(A, 1, 'A-aborted-after'),
    encodeMarker(ABORT, A, 2),
    encodeBatch({ records: [record(3, 'plain', Buffer.alloc(4))] }),
  ];
  t.deepEqual(await visible(batches, [{ producerId: A, firstOffset: 0 }]), ['plain']);
});

test('a fetch that begins in the middle of two aborted transactions', async (t) => {
  const batches = [
    written(B, 2, 'B-ab-2'),
    written(A, 3, 'A-ab-3'),
    encodeMarker(ABORT, A, 4),
    written(B, 5, 'B-ab-5'),
    encodeMarker(ABORT, B, 6),
    encodeBatch({ records: [record(7, 'plain')] }),
  ];
  const aborted = [
    { producerId: A, firstOffset: 0 },
    { producerId: B, firstOffset: 1 },
  ];
  t.deepEqual(await visible(batches, aborted, 2), ['plain']);
});

test('what a producer commits before and after an aborted transaction of its own stays', async (t) => {
  const batches = [
    written(A, 0, 'committed'),
    encodeMarker(COMMIT, A, 1),
    written(A, 2, 'aborted'),
    encodeMarker(ABORT, A, 3),
    written(A, 4, 'committed again'),
    encodeMarker(COMMIT, A, 5),
    written(A, 6, 'aborted again'),
    encodeMarker(ABORT, A, 7),
  ];
  const aborted = [
    { producerId: A, firstOffset: 6 },
    { producerId: A, firstOffset: 2 },
  ];
  t.deepEqual(await visible(batches, aborted), ['committed', 'committed again']);
});

test('a marker of another producer, or control of another kind, ends nothing', async (t) => {
  const leaderChange = 2;
  const batches = [
    written(A, 0, 'aborted'),
    encodeMarker(COMMIT, B, 1),
    encodeMarker(ABORT, B, 2),
    encodeMarker(leaderChange, A, 3),
    written(A, 4, 'aborted too'),
    encodeMarker(ABORT, A, 5),
  ];
  t.deepEqual(await visible(batches, [{ producerId: A, firstOffset: 0 }]), []);
});

test('what an idempotent producer writes outside of transactions is never aborted', async (t) => {
  const batches = [
    written(A, 0, 'aborted'),
    encodeBatch({ records: [record(1, 'idempotent')], producerId: A }),
    encodeMarker(ABORT, A, 2),
  ];
  t.deepEqual(await visible(batches, [{ producerId: A, firstOffset: 0 }]), ['idempotent']);
});

test('a commit marker ends as well: the abort’s may have been removed by compaction', async (t) => {
  const batches = [
    written(A, 0, 'aborted'),
    encodeMarker(COMMIT, A, 5),
    written(A, 6, 'committed'),
    encodeMarker(COMMIT, A, 7),
  ];
  t.deepEqual(await visible(batches, [{ producerId: A, firstOffset: 0 }]), ['committed']);
});

test('an emptied marker keeps the transaction open; read_uncommitted sees all but markers', async (t) => {
  const emptied = encodeBatch({
    records: [],
    baseOffset: 1,
    lastOffset: 1,
    producerId: A,
    transactional: true,
    control: true,
  });
  const bytes = Buffer.concat([written(A, 0, 'x'), emptied, written(A, 2, 'y')]);
  const abortedTransactions = [{ producerId: A, firstOffset: 0 }];
  t.deepEqual((await readRecords(bytes, { abortedTransactions })).records, []);
  const all = await readRecords(bytes, { abortedTransactions, isolation: 'read_uncommitted' });
  t.deepEqual(
    all.records.map(({ offset }) => offset),
    [0, 2],
  );
});

test('ends of transactions are told between the batches, and whose a batch is', async (t) => {
  const told: string[] = [];
  const reader = new RecordSetReader({
    isolation: 'read_uncommitted',
    onEnd: (producerId, end) => told.push(`${producerId} ${end}`),
  });
  const recordSet = Buffer.concat([
    written(A, 0, 'x'),
    written(B, 1, 'y'),
    encodeMarker(ABORT, A, 2),
    encodeMarker(COMMIT, B, 3),
    encodeBatch({ records: [record(4, 'idempotent')], producerId: A }),
    written(A, 5, 'z'),
  ]);
  reader.begin(recordSet, { fetchOffset: 0, abortedTransactions: [] });
  for (;;) {
    await reader.prepare();
    if (reader.next() === undefined) break;
    told.push(`batch of ${String(reader.transactionOf)}`);
  }
  t.deepEqual(told, [
    'batch of 4000',
    'batch of 4001',
    '4000 abort',
    '4001 commit',
    'batch of undefined',
    'batch of 4000',
  ]);
});

/** Steps: producer p writes n records (n > 0), or ends its transaction by abort (-1) or commit (-2). */
function logOf(steps: readonly (readonly [producer: number, action: number])[]): PartitionLog {
  const log = new PartitionLog();
  for (const [producer, action] of steps) {
    const producerId = BigInt(producer);
    if (action < 0) {
      log.end(producerId, action === -1 ? ABORT : COMMIT);
      continue;
    }
    const records = Array.from({ length: action }, (_, i) =>
      record(0, `${producer}:${log.endOffset + i}`, i === 0 ? Buffer.alloc(4) : null),
    );
    log.write(records, producerId);
  }
  log.abortOpen();
  return log;
}

test('any interleaving of transactions, fetched in any parts from any offset, shows what was committed', async (t) => {
  const steps = fc.array(
    fc.tuple(
      fc.integer({ min: 0, max: 3 }),
      fc.oneof(fc.integer({ min: 1, max: 3 }), fc.constantFrom(-1, -2)),
    ),
    { minLength: 1, maxLength: 30 },
  );
  await fc.assert(
    fc.asyncProperty(
      steps,
      fc.nat(),
      fc.integer({ min: 1, max: 4 }),
      async (taken, from, batchesAnAnswer) => {
        const log = logOf(taken);
        const start = log.endOffset === 0 ? 0 : from % log.endOffset;
        const seen: RecordSpec[] = [];
        let fetchOffset = start;
        while (fetchOffset < log.endOffset) {
          const answer = log.fetch(fetchOffset, batchesAnAnswer);
          const read = await readRecords(Buffer.concat(answer.batches), answer);
          if (read.nextOffset !== answer.nextOffset) return false;
          seen.push(...read.records);
          fetchOffset = read.nextOffset;
        }
        return isDeepStrictEqual(seen, log.visible(start, log.endOffset));
      },
    ),
    { numRuns: 300 },
  );
  t.pass();
});
