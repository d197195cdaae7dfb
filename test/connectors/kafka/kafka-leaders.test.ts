/** Three brokers: leaders die, and come back by election, under a source and sinks; one election loses records. */
import test from 'ava';
import { raw } from '../../../connectors/formats/raw.js';
import { kafkaSink, kafkaSource } from '../../../connectors/kafka/index.js';
import { systemClock } from '../../../process/system-clock.js';
import { kafkaAvailability } from '../../services/kafka-installation.js';
import { nodeId } from '../../services/kafka-settings.js';
import { readTopics } from '../../services/kafka-topic-reader.js';
import { KafkaService } from '../../services/kafka.js';
import { sinkContext } from '../sink-contract.js';
import { Reading } from './kafka-reading.js';
import { TopicWriter } from './kafka-topic.js';
import { Subtask } from './kafka-writing.js';

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
    const valuesOf = (topic: string): string[] =>
      seen.filter((record) => record.topic === topic).map(text);
    t.deepEqual(valuesOf('once').sort(), [...written].sort());
    t.deepEqual([...new Set(valuesOf('at-least'))].sort(), [...written].sort());
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
