/**
 * The connector beside Kafka's own programs, on the newest brokers: what it writes, Kafka's consumer and log
 * tool read; what Kafka's producer writes, and the broker's cleaner leaves, it reads; all of it exactly.
 */
import test from 'ava';
import fc from 'fast-check';
import { raw } from '../../../connectors/formats/raw.js';
import { BatchSender, type OutgoingBatch } from '../../../connectors/kafka/batch-sender.js';
import { COMPRESSIONS } from '../../../connectors/kafka/compression.js';
import { kafkaSource, type KafkaCommittable } from '../../../connectors/kafka/index.js';
import { KafkaClient } from '../../../connectors/kafka/kafka-client.js';
import type { TopicPartition } from '../../../connectors/kafka/kafka-request.js';
import {
  compressBatch,
  RecordBatchBuilder,
} from '../../../connectors/kafka/record-batch-builder.js';
import { systemClock } from '../../../process/system-clock.js';
import { kafkaAvailability } from '../../services/kafka-installation.js';
import { dumpLogs } from '../../services/kafka-log-dump.js';
import { readTopics, type TopicRecord } from '../../services/kafka-topic-reader.js';
import { writeTopics, type TopicWrite } from '../../services/kafka-topic-writer.js';
import { KafkaService } from '../../services/kafka.js';
import { readAll } from './kafka-reading.js';
import { FaultyClient, Killed, Subtask } from './kafka-writing.js';
import { draftRecords, type DraftRecord } from './record-batch-arbitraries.js';

/** Partition n is written by a producer of kind n. */
const PRODUCERS = ['plain', 'idempotent', 'transactional'] as const;
type Producer = (typeof PRODUCERS)[number];
const BATCHES = 12;
/** What comes from another time, these brokers refuse unless told. */
const ANY_TIME = { 'message.timestamp.after.max.ms': String(2 ** 62) };
/** Rolled and cleaned as soon as there is a record of a later time. */
const COMPACTED = {
  ...ANY_TIME,
  'cleanup.policy': 'compact',
  'min.cleanable.dirty.ratio': '0.001',
  'segment.ms': '100',
};
/** Behind the present, of which the ends of transactions are: a segment that began with one would not be rolled. */
const ROLLED_AT_MS = 4_000_000_000_000;

/** The same in each run; every batch with odd and ordinary records. */
function batchesOf(seed: number): DraftRecord[][] {
  return fc.sample(draftRecords, { seed, numRuns: BATCHES });
}

type Placed = Omit<TopicRecord, 'offset'>;

function placed(place: TopicPartition, draft: DraftRecord): Placed {
  const { timestamp, key, value, headers } = draft;
  return {
    ...place,
    ...{ timestamp, key: bytesOf(key), value: bytesOf(value) },
    headers: headers.map((header) => [header.key, bytesOf(header.value)] as const),
  };
}

function bytesOf(bytes: Uint8Array | null | undefined): Buffer | null {
  return bytes === undefined || bytes === null ? null : Buffer.from(bytes);
}

function inPartition<T extends TopicPartition>(
  records: readonly T[],
  { topic, partition }: TopicPartition,
): T[] {
  return records.filter((record) => record.topic === topic && record.partition === partition);
}

/** For what the offsets depend on more than on the records. */
function withoutOffsets(records: readonly TopicRecord[]): Placed[] {
  return records.map(({ offset: _, ...rest }) => rest);
}

const found = kafkaAvailability('4');
if (found.available && kafkaAvailability('3.9').available) {
  testInterop(
    await KafkaService.start({ version: '4', settings: { 'log.cleaner.backoff.ms': 50 } }),
  );
} else {
  test.skip('the connector did not run beside the programs of Kafka', (t) => t.pass());
}

function testInterop(kafka: KafkaService): void {
  const connection = { brokers: kafka.brokers() };
  const client = new KafkaClient({ connection, clock: systemClock });
  test.after.always(async () => {
    client.close();
    await kafka.stop();
  });
  /** By our source, with all that Kafka knows of each, in the order of each partition. */
  const readOurselves = async (topics: readonly string[]): Promise<TopicRecord[]> => {
    const options = { key: raw(), value: raw(), envelope: true, boundedAt: 'latest' } as const;
    const read = await readAll(kafkaSource({ connection, topics, ...options }));
    return read.map(({ key, value, headers, ...rest }) => ({
      ...rest,
      ...{ key: bytesOf(key), value: bytesOf(value) },
      headers: headers.map((header) => [header.key, bytesOf(header.value)] as const),
    }));
  };

  /** Writes one batch, and transactions end as told. */
  const writingTo = async (
    topic: string,
    producer: Producer,
  ): Promise<(outgoing: OutgoingBatch, end: 'commit' | 'abort') => Promise<void>> => {
    const transactionalId = producer === 'transactional' ? topic : undefined;
    const identity =
      producer === 'plain'
        ? undefined
        : await client.initProducerId(transactionalId ?? null, 60_000);
    const sender = new BatchSender({
      ...{ client, acks: -1 },
      ...(identity === undefined ? {} : { identity }),
      ...(transactionalId === undefined ? {} : { transactionalId }),
    });
    await sender.learn([topic]);
    return async (outgoing, end) => {
      if (identity === undefined || transactionalId === undefined) {
        await sender.send(outgoing);
        return;
      }
      await client.addPartitionsToTxn(transactionalId, identity, [outgoing]);
      await sender.send(outgoing);
      await client.endTxn(transactionalId, identity, end);
    };
  };

  test.serial(
    'what we write, the programs of Kafka read: codecs, producers, odd records',
    async (t) => {
      const topicOf = (compression: string): string => `ours-${compression}`;
      const topics = COMPRESSIONS.map(topicOf);
      for (const topic of topics) await kafka.createTopic(topic, PRODUCERS.length, ANY_TIME);
      const expected: Placed[] = [];
      for (const [codec, compression] of COMPRESSIONS.entries()) {
        const topic = topicOf(compression);
        for (const [partition, producer] of PRODUCERS.entries()) {
          const place = { topic, partition };
          const write = await writingTo(topic, producer);
          for (const [number, drafts] of batchesOf(10 * codec + partition).entries()) {
            const builder = new RecordBatchBuilder({ batchBytesMax: 1_000_000 });
            for (const { timestamp, key, value, headers } of drafts) {
              builder.append(timestamp, key, value, headers);
            }
            const batch = await compressBatch(builder.build(), compression);
            const isAborted = producer === 'transactional' && number % 3 === 2;
            await write({ ...place, batch }, isAborted ? 'abort' : 'commit');
            if (!isAborted) expected.push(...drafts.map((draft) => placed(place, draft)));
          }
        }
      }
      const read = await readTopics(kafka, topics);
      const ourselves = await readOurselves(topics);
      const places = topics.flatMap((topic) =>
        PRODUCERS.map((_, partition) => ({ topic, partition })),
      );
      const dumped = await dumpLogs(kafka, places);
      for (const place of places) {
        const { topic, partition } = place;
        const own = inPartition(read, place);
        t.deepEqual(withoutOffsets(own), inPartition(expected, place));
        t.deepEqual(inPartition(ourselves, place), own);
        const log = dumped.get(`${topic}-${partition}`) ?? [];
        t.true(log.every(({ isValid }) => isValid));
        const written = log.filter(({ isControl }) => !isControl);
        const producer = PRODUCERS[partition];
        t.deepEqual(
          written.map(({ records, compression, isTransactional, producerId }) => [
            ...[records, topicOf(compression), isTransactional, producerId >= 0],
          ]),
          batchesOf(10 * topics.indexOf(topic) + partition).map(({ length }) => [
            ...[length, topic, producer === 'transactional', producer !== 'plain'],
          ]),
        );
        t.true(written.every(({ count, records }) => count === records));
      }
    },
  );

  test.serial('what Kafka’s producer writes, we read: codecs, aborts, compaction', async (t) => {
    const topicOf = (compression: string): string => `theirs-${compression}`;
    const topics = COMPRESSIONS.map(topicOf);
    for (const topic of topics) await kafka.createTopic(topic, PRODUCERS.length, ANY_TIME);
    await kafka.createTopic('cleaned', 1, COMPACTED);
    const writes = COMPRESSIONS.flatMap((compression, codec) =>
      PRODUCERS.flatMap((producer, partition) =>
        batchesOf(100 + 10 * codec + partition).map((drafts, number): TopicWrite => ({
          compression,
          producer,
          end: number % 3 === 2 ? 'abort' : 'commit',
          records: drafts.map((draft) => {
            const record = placed({ topic: topicOf(compression), partition }, draft);
            // Kafka's producer takes no times before 1970.
            return { ...record, timestamp: Math.abs(record.timestamp) };
          }),
        })),
      ),
    );
    const generations = 30;
    const rewritten = Array.from({ length: generations }, (_, generation): TopicWrite => ({
      compression: COMPRESSIONS[generation % COMPRESSIONS.length] ?? 'none',
      producer: generation % 2 === 0 ? 'transactional' : 'idempotent',
      end: generation % 4 === 2 ? 'abort' : 'commit',
      records: ['a', 'b', 'c', `only ${generation}`].map((key, index) => ({
        ...{ topic: 'cleaned', partition: 0, timestamp: ROLLED_AT_MS + 1_000 * generation + index },
        ...{ key: Buffer.from(key), headers: [] },
        value: generation % 5 === 1 && index === 0 ? null : Buffer.from(`${key} ${generation}`),
      })),
    }));
    await writeTopics(kafka, [...writes, ...rewritten]);
    // Until the cleaner has left less than half of the values of a, b and c.
    let cleaned = await readOurselves(['cleaned']);
    while (cleaned.length >= 2 * generations) cleaned = await readOurselves(['cleaned']);
    const offsets = cleaned.map(({ offset }) => offset);
    t.true(offsets.some((offset, index) => offset > 1 + (offsets[index - 1] ?? offset)));

    const read = await readTopics(kafka, [...topics, 'cleaned']);
    const ourselves = await readOurselves(topics);
    const visible = writes
      .filter(({ producer, end }) => producer !== 'transactional' || end === 'commit')
      .flatMap(({ records }) => records);
    for (const topic of topics) {
      for (const partition of PRODUCERS.keys()) {
        const own = inPartition(ourselves, { topic, partition });
        t.deepEqual(own, inPartition(read, { topic, partition }));
        t.deepEqual(withoutOffsets(own), inPartition(visible, { topic, partition }));
      }
    }
    // The cleaner may have gone on between the two readings, so what is last of each key is compared.
    const last = (records: readonly TopicRecord[]): TopicRecord[] => {
      const byKey = new Map(records.map((record) => [String(record.key), record]));
      return [...byKey.values()].filter(({ value }) => value !== null);
    };
    t.deepEqual(
      last(await readOurselves(['cleaned'])),
      last(read.filter(({ topic }) => topic === 'cleaned')),
    );
  });

  for (const transaction of ['atCheckpoint', 'streaming'] as const) {
    const title = `exactly once on the newest brokers, ${transaction}: killed before and after the end`;
    test.serial(title, async (t) => {
      const topic = `once-${transaction}`;
      await kafka.createTopic(topic, 2);
      const start = async (
        attempt: number,
        restored: readonly KafkaCommittable[],
      ): Promise<Subtask> => {
        const options = { ...connection, topic, transaction, attempt, restored };
        const subtask = await Subtask.start(options);
        t.teardown(() => subtask.close());
        return subtask;
      };
      let subtask = await start(1, []);
      const written: string[] = [];
      for (const [index, edge] of (['before end', 'after end'] as const).entries()) {
        const values = Array.from({ length: 20 }, (_, number) => `${edge} ${number}`);
        written.push(...values);
        subtask.write(values);
        const pending = await subtask.prepare(1 + index);
        // Of a checkpoint that is never complete, and of none.
        subtask.write(['never']);
        await subtask.prepare(100 + index);
        subtask.write(['never']);
        FaultyClient.armed = {
          edge,
          fault: () => {
            throw new Killed(edge);
          },
        };
        await t.throwsAsync(subtask.committer.commit(pending), { instanceOf: Killed });
        subtask = await start(2 + index, pending);
      }
      await kafka.kill();
      const back = kafka.restart();
      await subtask.epoch(3, ['after the restart']);
      await back;
      const read = await readTopics(kafka, [topic]);
      t.deepEqual(
        read.map(({ value }) => String(value)).sort(),
        [...written, 'after the restart'].sort(),
      );
    });
  }
}
