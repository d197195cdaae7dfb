/** Three brokers: leaders and coordinators die, and come back by election, under a source and sinks; one election loses records. */
import test from 'ava';
import { raw } from '../../../connectors/formats/raw.js';
import { kafkaSink, kafkaSource } from '../../../connectors/kafka/index.js';
import { KafkaClient } from '../../../connectors/kafka/kafka-client.js';
import { systemClock } from '../../../process/system-clock.js';
import { eventually } from '../../integration/eventually.js';
import { kafkaAvailability } from '../../services/kafka-installation.js';
import { nodeId } from '../../services/kafka-settings.js';
import { readTopics } from '../../services/kafka-topic-reader.js';
import { KafkaService } from '../../services/kafka.js';
import { sinkContext } from '../sink-contract.js';
import { Reading } from './kafka-reading.js';
import { TopicWriter } from './kafka-topic.js';
import { openIn, Subtask, valuesOf } from './kafka-writing.js';

type PartitionMetadata = Awaited<
  ReturnType<KafkaService['admin']['fetchTopicMetadata']>
>['topics'][number]['partitions'][number];

const PARTITIONS = 3;
/** A broker that is back gets its partitions back soon, while all live. */
const SETTINGS = {
  'auto.leader.rebalance.enable': true,
  'leader.imbalance.check.interval.seconds': 1,
  'leader.imbalance.per.broker.percentage': 0,
};

const found = kafkaAvailability();
if (found.available) testLeaders(await KafkaService.start({ brokers: 3, settings: SETTINGS }));
else test.skip(`leaders did not move: ${found.reason}`, (t) => t.pass());

function testLeaders(kafka: KafkaService): void {
  test.after.always(() => kafka.stop());
  const connection = { brokers: kafka.brokers() };

  test.serial('leaders die and come back: source and sinks go on with the next', async (t) => {
    for (const topic of ['read', 'once', 'at-least']) await kafka.createTopic(topic, PARTITIONS);
    const reading = await Reading.start(
      kafkaSource({ connection, topics: 'read', value: raw(), envelope: true }),
    );
    t.teardown(() => reading.reader.close());
    const producer = await TopicWriter.connect(kafka.brokers());
    t.teardown(() => producer.close());
    const once = await Subtask.start({ ...connection, topic: 'once' });
    t.teardown(() => once.close());
    const atLeastOnce = await kafkaSink({
      ...{ connection, topic: 'at-least', value: raw() },
      delivery: 'atLeastOnce',
    }).createWriter({ ...sinkContext(1, 'at least'), clock: systemClock });
    t.teardown(() => atLeastOnce.close());

    const written: string[] = [];
    let rounds = 0;
    const round = async (): Promise<void> => {
      rounds++;
      const values = Array.from({ length: 30 }, (_, index) => `${rounds} ${index}`);
      written.push(...values);
      for (const value of values) atLeastOnce.write(Buffer.from(value), 0);
      await Promise.all([
        // Apart: of one sending kafkajs loses what moves to a leader that has taken other partitions of it.
        ...Array.from({ length: PARTITIONS }, (_, partition) =>
          producer.write(
            'read',
            values
              .filter((_value, index) => index % PARTITIONS === partition)
              .map((value) => ({ value, partition })),
          ),
        ),
        once.epoch(rounds, values),
        atLeastOnce.prepareCommit(rounds),
      ]);
      await reading.until(() => new Set(reading.output.records.map(text)).size === written.length);
    };
    const leaders = async (): Promise<readonly number[]> => {
      const { topics } = await kafka.admin.fetchTopicMetadata({
        topics: ['read', 'once', 'at-least', 'millrace-sink-markers'],
      });
      return topics.flatMap(({ partitions }) => partitions.map(({ leader }) => leader));
    };
    await round();
    const victim = 2;
    t.true((await leaders()).includes(nodeId(victim)));
    await kafka.kill(victim);
    await round();
    t.false((await leaders()).includes(nodeId(victim)));
    await kafka.restart(victim);
    // All of them live, and whoever led until now says that it does no more.
    do await round();
    while (!(await leaders()).includes(nodeId(victim)));
    await round();

    const seen = await readTopics(kafka, ['once', 'at-least']);
    const seenIn = (topic: string): string[] =>
      seen.filter((record) => record.topic === topic).map(text);
    t.deepEqual(seenIn('once').sort(), [...written].sort());
    t.deepEqual([...new Set(seenIn('at-least'))].sort(), [...written].sort());
    // Who writes to it may have written twice; who reads comes to each offset once.
    for (const partition of Array.from({ length: PARTITIONS }).keys()) {
      const offsets = reading.output.recordsOf.get(`read-${partition}`) ?? [];
      t.deepEqual(
        offsets.map(({ offset }) => offset),
        offsets.map((_, index) => index),
      );
    }
  });

  test.serial(
    'streaming: who leads and coordinates dies while an epoch is open, and before its end',
    async (t) => {
      const topic = 'streamed';
      await kafka.createTopic(topic, PARTITIONS);
      const client = new KafkaClient({ connection, clock: systemClock });
      t.teardown(() => client.close());
      const long = { transactionTimeoutMs: 300_000, patienceMs: 120_000, hangingMs: 120_000 };
      const transaction = 'streaming';
      const subtask = await Subtask.start({ ...connection, topic, transaction, ...long });
      t.teardown(() => subtask.close());
      const partitionsOf = async (name: string): Promise<PartitionMetadata[]> => {
        const { topics } = await kafka.admin.fetchTopicMetadata({ topics: [name] });
        return topics.flatMap(({ partitions }) => partitions);
      };
      /** Who coordinates a transaction and leads a partition of it, once all may lose one of them. */
      const victimOf = async (transactionalId: string): Promise<number | undefined> => {
        const [states, partitions, markers] = await Promise.all(
          ['__transaction_state', topic, 'millrace-sink-markers'].map(partitionsOf),
        );
        const all = [...(states ?? []), ...(partitions ?? []), ...(markers ?? [])];
        const state = (hashOf(transactionalId) & 0x7fffffff) % (states?.length ?? 0);
        const coordinator = states?.find(({ partitionId }) => partitionId === state)?.leader;
        const isLeader = partitions?.some(({ leader }) => leader === coordinator) === true;
        return isLeader && all.every(({ isr }) => isr.length === 3) ? coordinator : undefined;
      };

      const written: string[] = [];
      const write = (values: readonly string[]): void => {
        written.push(...values);
        subtask.write(values);
      };
      for (const [epoch, when] of ['while it is open', 'before its end'].entries()) {
        const transactionalId = `millrace/job of ${topic}/out/0/1/${epoch}`;
        const victim = await eventually(
          () => `who coordinates ${transactionalId}`,
          () => victimOf(transactionalId),
        );
        write(valuesOf(`${epoch} ${'a'.repeat(40_000)}`));
        await eventually(
          () => 'a transaction in each partition',
          async () => (await openIn(client, topic, PARTITIONS)) === PARTITIONS || undefined,
        );
        if (when === 'while it is open') await kafka.kill(victim - nodeId(0));
        write(valuesOf(`${epoch} ${'b'.repeat(40_000)}`));
        const prepared = await subtask.prepare(1 + epoch);
        t.is(prepared[0]?.transactionalId, transactionalId);
        if (when === 'before its end') await kafka.kill(victim - nodeId(0));
        await subtask.commit(prepared);
        await kafka.restart(victim - nodeId(0));
      }
      const seen = await readTopics(kafka, [topic]);
      t.deepEqual(seen.map(text).sort(), written.sort());
    },
  );

  test.serial(
    'a leader that lacks records by an unclean election fails the job by name',
    async (t) => {
      const [first, second] = [0, 1] as const;
      await kafka.admin.createTopics({
        topics: [
          {
            topic: 'unclean',
            replicaAssignment: [{ partition: 0, replicas: [nodeId(first), nodeId(second)] }],
            configEntries: [
              { name: 'unclean.leader.election.enable', value: 'true' },
              { name: 'min.insync.replicas', value: '1' },
            ],
          },
        ],
        waitForLeaders: false,
      });
      const write = async (count: number): Promise<void> => {
        const writer = await TopicWriter.connect(kafka.brokers());
        const values = Array.from({ length: count }, (_, index) => ({ value: String(index) }));
        await writer.write('unclean', values).finally(() => writer.close());
      };
      await write(5);
      const reading = await Reading.start(
        kafkaSource({ connection, topics: 'unclean', value: raw() }),
      );
      t.teardown(() => reading.reader.close());
      await kafka.kill(second);
      await write(4);
      await reading.until(() => reading.output.records.length === 9);
      const restored = reading.reader.snapshot(1);
      // Only who was away from the four is left.
      await kafka.kill(first);
      await kafka.restart(second);
      await t.throwsAsync(
        reading.until(() => false),
        {
          message:
            /^INPUT_INVALID: topic "unclean" partition 0 has offsets 0 to 5, not 9: the log was cut by 4 records/,
        },
      );
      // The same is true once others have taken their offsets.
      await write(10);
      const source = kafkaSource({ connection, topics: 'unclean', value: raw() });
      const again = await Reading.start(source, { restored });
      t.teardown(() => again.reader.close());
      await t.throwsAsync(
        again.until(() => false),
        {
          message:
            /^INPUT_INVALID: topic "unclean" partition 0 has lost records: the log was cut at offset 5 and has others since, where 4 were read up to 9/,
        },
      );
      t.is(again.output.records.length, 0);
    },
  );
}

function text({ value }: { readonly value?: Uint8Array | null }): string {
  return Buffer.from(value ?? []).toString();
}

/** As Java's texts have it: by it a transactional id has its partition of the state that its coordinator leads. */
function hashOf(id: string): number {
  return Array.from(id).reduce((hash, char) => (Math.imul(31, hash) + char.charCodeAt(0)) | 0, 0);
}
