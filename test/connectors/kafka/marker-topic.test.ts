/** Markers as a partition has them: committed, aborted, undecided, compacted away, cut off; and what is read for it. */
import test from 'ava';
import fc from 'fast-check';
import { MarkerTopic, type MarkerTopicOptions } from '../../../connectors/kafka/marker-topic.js';
import type { SinkMarker } from '../../../connectors/kafka/sink-marker.js';
import { ManualClock } from '../../manual-clock.js';
import { ABORT, COMMIT, record } from './batch-bytes.js';
import { PartitionLog } from './partition-log.js';

const TOPIC = 'markers';
const OURS = 'millrace/job/out/0';
const OTHER = 'millrace/job/out/16';
const HANGING_MS = 10_000;
const A = 4_000n;
const B = 4_001n;
const C = 4_002n;

function markerOf(checkpointId: number): SinkMarker {
  return { checkpointId, jobId: 'job', attempt: 1, producer: 'x', parallelism: 1 };
}

/** The one partition of a marker topic, and who asks for it. */
class MarkerPartition {
  readonly log = new PartitionLog();
  /** Each request in short. */
  readonly asked: string[] = [];
  /** What happens while a reader waits at the end of the log, one after the other; then time passes. */
  readonly later: (() => void)[] = [];
  batchesAnAnswer = 1;
  readonly clock = new ManualClock();

  /** @returns its offset */
  write(checkpointId: number, producerId?: bigint, key = OURS): number {
    const offset = this.log.endOffset;
    const value = JSON.stringify(markerOf(checkpointId));
    this.log.write([record(offset, value, Buffer.from(key))], producerId);
    return offset;
  }

  committed(checkpointId: number, producerId: bigint, key?: string): number {
    const offset = this.write(checkpointId, producerId, key);
    this.log.end(producerId, COMMIT);
    return offset;
  }

  open(): Promise<MarkerTopic> {
    return MarkerTopic.open({
      client: this.#client(),
      topic: TOPIC,
      clock: this.clock,
      hangingMs: HANGING_MS,
    });
  }

  /** As who resumes a transaction asks. */
  async isCommitted(offset: number, checkpointId: number): Promise<boolean> {
    const topic = await this.open();
    const place = { key: OURS, partition: 0, offset };
    return topic.isCommitted(place, (marker) => marker.checkpointId >= checkpointId);
  }

  /** As who has written it asks. */
  async isThere(offset: number): Promise<boolean> {
    const topic = await this.open();
    return topic.isCommitted({ key: OURS, partition: 0, offset }, (_, at) => at === offset);
  }

  async read(): Promise<number | undefined> {
    return (await (await this.open()).read(OURS, 0))?.checkpointId;
  }

  #client(): MarkerTopicOptions['client'] {
    const { log } = this;
    const partitions = [{ partition: 0, leader: 1, errorCode: 0 }];
    const state = { errorCode: 0, isInternal: false, operations: 0 };
    const topic = { topic: TOPIC, topicId: 'id', partitions, ...state };
    return {
      brokerName: String,
      createTopics: () => Promise.reject(new Error('it is there')),
      describeConfigs: () => Promise.resolve([]),
      metadata: () => Promise.resolve({ brokers: [], controller: 1, topics: [topic] }),
      topics: () => Promise.resolve([topic]),
      listOffset: ({ timestamp }) => {
        this.asked.push('offset');
        return Promise.resolve(timestamp === -1 ? log.endOffset : 0);
      },
      fetch: (_, [wanted], { maxWaitMs }) => {
        const fetchOffset = wanted?.fetchOffset ?? 0;
        this.asked.push(`fetch ${fetchOffset}`);
        const { batches } = log.fetch(fetchOffset, this.batchesAnAnswer);
        if (batches.length === 0) this.#pass(maxWaitMs);
        const fetched = {
          topicId: 'id',
          partition: 0,
          errorCode: fetchOffset > log.endOffset ? 1 : 0,
          highWatermark: log.endOffset,
          lastStableOffset: 0,
          logStartOffset: 0,
          abortedTransactions: [],
          recordSet: Buffer.concat(batches),
          divergedAt: undefined,
        };
        return Promise.resolve({ errorCode: 0, partitions: [fetched], giveBack: () => undefined });
      },
    };
  }

  #pass(ms: number): void {
    const happens = this.later.shift();
    if (happens === undefined) this.clock.advance(ms);
    else happens();
  }
}

test('a committed marker is found where it was written; nothing behind its end is asked for', async (t) => {
  const markers = new MarkerPartition();
  markers.committed(1, A);
  const offset = markers.committed(2, A);
  for (let later = 3; later < 10; later++) markers.committed(later, B, OTHER);
  t.true(await markers.isCommitted(offset, 2));
  t.true(await markers.isThere(offset));
  const once = [`fetch ${offset}`, `fetch ${offset + 1}`];
  t.deepEqual(markers.asked, [...once, ...once]);
});

test('an aborted marker is not committed, whatever others have committed around it', async (t) => {
  const markers = new MarkerPartition();
  markers.committed(1, A);
  markers.write(7, B, OTHER);
  const offset = markers.write(2, A);
  markers.log.end(B, COMMIT);
  markers.log.end(A, ABORT);
  markers.committed(9, C, OTHER);
  t.false(await markers.isCommitted(offset, 2));
  t.is(await markers.read(), 1);
});

test('a marker that compaction has removed is told by a later one of its key', async (t) => {
  const markers = new MarkerPartition();
  const offset = markers.log.endOffset;
  // It, and its end.
  markers.log.skip(2);
  markers.committed(8, B, OTHER);
  t.false(await markers.isCommitted(offset, 2));
  markers.write(3, A);
  markers.log.end(A, ABORT);
  t.false(await markers.isCommitted(offset, 2));
  // It does not bring back another one that was aborted.
  markers.committed(1, A);
  t.false(await markers.isCommitted(offset, 2));
  markers.committed(8, B, OTHER);
  markers.committed(5, A);
  t.true(await markers.isCommitted(offset, 2));
  t.false(await markers.isThere(offset));
  t.is(await markers.read(), 5);
});

test('one that stands there and is aborted may be followed by one that tells the same', async (t) => {
  const markers = new MarkerPartition();
  const offset = markers.write(2, A);
  markers.log.end(A, ABORT);
  markers.committed(8, B, OTHER);
  markers.committed(2, A);
  t.true(await markers.isCommitted(offset, 2));
  t.false(await markers.isThere(offset));
});

for (const end of [COMMIT, ABORT] as const) {
  const isCommit = end === COMMIT;
  test(`what is not decided is waited for: it is ${isCommit ? 'committed' : 'aborted'}`, async (t) => {
    const written = new MarkerPartition();
    const offset = written.write(2, A);
    written.later.push(
      // Of a key and a producer that nobody asks for.
      () => written.write(3, B, OTHER),
      () => written.log.end(B, isCommit ? ABORT : COMMIT),
      () => written.log.end(A, end),
    );
    t.is(await written.isCommitted(offset, 2), isCommit);
    t.deepEqual(written.later, []);

    const compacted = new MarkerPartition();
    compacted.log.skip(2);
    compacted.committed(8, B, OTHER);
    compacted.write(5, A);
    compacted.later.push(() => compacted.log.end(A, end));
    t.is(await compacted.isCommitted(0, 2), isCommit);
    t.deepEqual(compacted.later, []);

    const read = new MarkerPartition();
    read.committed(1, A);
    read.write(2, A);
    read.later.push(() => read.log.end(A, end));
    t.is(await read.read(), isCommit ? 2 : 1);
  });
}

test('transactions of others that stay open hold nothing back', async (t) => {
  const markers = new MarkerPartition();
  markers.write(7, B, OTHER);
  const offset = markers.committed(2, A);
  markers.write(8, C, OTHER);
  t.true(await markers.isCommitted(offset, 2));
  t.is(await markers.read(), 2);
  t.false(await markers.isCommitted(offset, 3));
});

test('markers that never were in a transaction count as they stand', async (t) => {
  const markers = new MarkerPartition();
  const offset = markers.write(2);
  t.true(await markers.isThere(offset));
  t.is(await markers.read(), 2);
});

test('a transaction that does not end is named, however much others write', async (t) => {
  const markers = new MarkerPartition();
  markers.committed(1, A);
  const offset = markers.write(2, B);
  const hanging = {
    message: new RegExp(
      `^BROKER_REFUSED: a hanging transaction \\(producer id ${B}, epoch -1\\) holds back topic ` +
        `"markers" partition 0 at offset ${offset} for more than ${HANGING_MS} ms`,
    ),
  };
  const others = (): void => {
    markers.committed(3, C, OTHER);
    markers.clock.advance(HANGING_MS / 5);
  };
  const writing = Array.from({ length: 20 }, () => others);
  markers.later.push(...writing);
  await t.throwsAsync(markers.isCommitted(offset, 2), hanging);
  t.true(markers.later.length > 0);
  markers.later.push(...writing);
  await t.throwsAsync(markers.read(), hanging);
  t.true(markers.later.length > 0);
});

test('a log that was cut where the marker was, or before it, is not taken for an abort', async (t) => {
  const markers = new MarkerPartition();
  markers.committed(1, A);
  const { endOffset } = markers.log;
  for (const offset of [endOffset, endOffset + 1]) {
    await t.throwsAsync(markers.isCommitted(offset, 2), {
      message: new RegExp(
        `^BROKER_REFUSED: topic "markers" partition 0 lacks offset ${offset}, .* elected uncleanly`,
      ),
    });
  }
});

/** A marker of `OURS`, or of another key by another producer, and how it ends some steps later. */
const stepArbitrary = fc.record({
  isOurs: fc.boolean(),
  isCommitted: fc.boolean(),
  /** Whether compaction comes by, once it may. */
  isCleaned: fc.boolean(),
  /** The other producer's transaction stays open beyond this step. */
  staysOpen: fc.boolean(),
});

test('whatever was committed, aborted and compacted: a marker is told by what came of it or later', async (t) => {
  const logs = fc.array(stepArbitrary, { minLength: 1, maxLength: 20 });
  await fc.assert(
    fc.asyncProperty(logs, fc.integer({ min: 1, max: 5 }), async (steps, batchesAnAnswer) => {
      const markers = new MarkerPartition();
      markers.batchesAnAnswer = batchesAnAnswer;
      const { log } = markers;
      const ours = steps.flatMap(({ isOurs, isCommitted, isCleaned, staysOpen }, index) => {
        const producerId = isOurs ? A : B;
        const offset = markers.write(index, producerId, isOurs ? OURS : OTHER);
        if (isOurs || !staysOpen) log.end(producerId, isCommitted ? COMMIT : ABORT);
        return isOurs ? [{ offset, checkpointId: index, isCommitted, isCleaned }] : [];
      });
      const last = ours.findLast(({ isCommitted }) => isCommitted);
      for (const { offset, isCommitted, isCleaned } of ours) {
        const mayGo = !isCommitted || offset < (last?.offset ?? -1);
        if (isCleaned && mayGo) log.clean(offset);
      }
      t.is(await markers.read(), last?.checkpointId);
      for (const { offset, checkpointId } of ours) {
        const expected = offset <= (last?.offset ?? -1);
        t.is(await markers.isCommitted(offset, checkpointId), expected);
      }
    }),
    { numRuns: 200 },
  );
});
