import test from 'ava';
import { DEFAULT_CHECKPOINT, DEFAULT_RESTART } from '../../../api/job.js';
import { raw } from '../../../connectors/formats/raw.js';
import { kafkaSource, type KafkaValueOptions } from '../../../connectors/kafka/index.js';
import { systemClock } from '../../../process/system-clock.js';
import { kafkaAvailability } from '../../services/kafka-installation.js';
import { KafkaService } from '../../services/kafka.js';
import { Reading } from './kafka-reading.js';
import { TopicWriter } from './kafka-topic.js';

/** Where a job is submitted. */
const CONTEXT = {
  clock: systemClock,
  settings: { checkpoint: DEFAULT_CHECKPOINT, restart: DEFAULT_RESTART },
};

const found = kafkaAvailability();
if (found.available) testFaults(await KafkaService.start());
else test.skip(`faults of the Kafka source did not run: ${found.reason}`, (t) => t.pass());

function testFaults(kafka: KafkaService): void {
  const { admin } = kafka;
  test.after.always(() => kafka.stop());
  const bytesOf = (
    topic: string,
    options: Partial<KafkaValueOptions<Uint8Array>> = {},
  ): ReturnType<typeof kafkaSource<Uint8Array>> =>
    kafkaSource({
      connection: { brokers: kafka.brokers() },
      topics: topic,
      value: raw(),
      ...options,
    });
  /** By a producer of its own: one that wrote to a topic that was deleted is of no more use. */
  const write = async (topic: string, count: number): Promise<void> => {
    const writer = await TopicWriter.connect(kafka.brokers());
    const values = Array.from({ length: count }, (_, index) => ({ value: String(index) }));
    await writer.write(topic, values).finally(() => writer.close());
  };
  /** A reader that has read `count` records of a topic, and waits for more. */
  const readingOf = async (
    topic: string,
    count: number,
    options: Partial<KafkaValueOptions<Uint8Array>> = {},
  ): Promise<Reading<Uint8Array>> => {
    const reading = await Reading.start(bytesOf(topic, options));
    await reading.until(() => reading.output.records.length >= count);
    return reading;
  };
  const textsOf = ({ output }: Reading<Uint8Array>): string[] =>
    output.records.map((record) => Buffer.from(record).toString());

  test.serial(
    'records deleted before they were read fail the job, or are gone over as was said',
    async (t) => {
      await kafka.createTopic('expired', 1);
      await write('expired', 5);
      const first = await readingOf('expired', 5);
      const restored = first.reader.snapshot(1).map((split) => ({ ...split, offset: 1 }));
      await first.reader.close();
      // kafkajs finds the leader only of what it has asked about.
      await admin.fetchTopicOffsets('expired');
      await admin.deleteTopicRecords({
        topic: 'expired',
        partitions: [{ partition: 0, offset: '3' }],
      });
      const failing = await Reading.start(bytesOf('expired'), { restored });
      await t.throwsAsync(
        failing.until(() => false),
        {
          message:
            /topic "expired" partition 0 has offsets 3 to 5, not 1: 2 records were deleted before .*onOutOfRange: 'earliest'/,
        },
      );
      await failing.reader.close();
      // Where a job begins, and not where it is submitted: what it goes on from may be its state.
      const startFrom = { offsets: { expired: { 0: 1 } } };
      await t.throwsAsync(Reading.start(bytesOf('expired', { startFrom })), {
        message: /^PARAM_INVALID: .* partition 0 has offsets 3 to 5, not 1, which startFrom gives/,
      });
      await t.notThrowsAsync(async () => bytesOf('expired', { startFrom }).check?.(CONTEXT));
      const source = bytesOf('expired', { onOutOfRange: 'earliest' });
      const going = await Reading.start(source, { restored });
      await going.until(() => going.output.records.length === 2);
      t.deepEqual(textsOf(going), ['3', '4']);
      await going.reader.close();
    },
  );

  test.serial('a log that ends before the position fails the job', async (t) => {
    await kafka.createTopic('cut', 1);
    await write('cut', 5);
    const startFrom = { offsets: { cut: { 0: 9 } } };
    const beyond =
      /^PARAM_INVALID: Kafka source: topic "cut" partition 0 has offsets 0 to 5, not 9, which startFrom gives; give one of these/;
    await t.throwsAsync(Reading.start(bytesOf('cut', { startFrom })), { message: beyond });
    await t.throwsAsync(async () => bytesOf('cut', { startFrom }).check?.(CONTEXT), {
      message: beyond,
    });
    const begun = await Reading.start(bytesOf('cut'));
    const restored = begun.reader.snapshot(1).map((split) => ({ ...split, offset: 9 }));
    await begun.reader.close();
    const unread = await Reading.start(bytesOf('cut'), { restored });
    await t.throwsAsync(
      unread.until(() => false),
      { message: /partition 0 has offsets 0 to 5, not 9: it ends before the position .*startFrom/ },
    );
    await unread.reader.close();
    const going = await Reading.start(bytesOf('cut', { startFrom, onOutOfRange: 'latest' }));
    t.teardown(() => going.reader.close());
    await going.until(() => going.reader.snapshot()[0]?.offset === 5);
    await write('cut', 1);
    await going.until(() => going.output.records.length === 1);
    t.deepEqual(textsOf(going), ['0']);
  });

  test.serial('offsets of partitions that are not there are told', async (t) => {
    await kafka.createTopic('narrow', 2);
    const elsewhere = { offsets: { narrow: { 1: 0, 7: 0 } } };
    for (const options of [{ startFrom: elsewhere }, { boundedAt: elsewhere }]) {
      const [option] = Object.keys(options);
      const message = new RegExp(
        `^PARAM_INVALID: .*${option} has an offset of topic "narrow" partition 7, and there are 0 to 1; correct it$`,
      );
      await t.throwsAsync(Reading.start(bytesOf('narrow', options)), { message });
      await t.throwsAsync(async () => bytesOf('narrow', options).check?.(CONTEXT), { message });
      // A job that goes on from its state begins nowhere.
      const going = await Reading.start(bytesOf('narrow', options), { restored: [] });
      await going.reader.close();
    }
    const absent = { topics: /^narrow/, startFrom: { offsets: { 'narrow-9': { 0: 0 } } } };
    await t.throwsAsync(Reading.start(bytesOf('narrow', absent)), {
      message: /startFrom has offsets of topic "narrow-9", and topics that are read are narrow;/,
    });
  });

  test.serial('a deleted topic fails the job by its name', async (t) => {
    await kafka.createTopic('deleted', 1);
    await write('deleted', 2);
    const reading = await readingOf('deleted', 2);
    t.teardown(() => reading.reader.close());
    await admin.deleteTopics({ topics: ['deleted'] });
    await t.throwsAsync(
      reading.until(() => false),
      {
        message:
          /^TOPIC_MISSING: topic "deleted" was deleted \(partition 0 .* offset 2\).*then rename the source .*--allow-non-restored-state/,
      },
    );
    await t.throwsAsync(Reading.start(bytesOf('deleted')), {
      message: /^TOPIC_MISSING: .* topic "deleted".*create the topic, or correct its name/,
    });
  });

  test.serial(
    'a topic made anew is never taken for the old one, though it has the offset',
    async (t) => {
      await kafka.createTopic('anew', 1);
      await write('anew', 2);
      const reading = await readingOf('anew', 2);
      const restored = reading.reader.snapshot(1);
      await admin.deleteTopics({ topics: ['anew'] });
      await kafka.createTopic('anew', 1);
      await write('anew', 20);
      const expected = {
        message:
          /^INPUT_INVALID: topic "anew" was deleted and made anew.*; rename the source .*--allow-non-restored-state/,
      };
      await t.throwsAsync(
        reading.until(() => false),
        expected,
      );
      await reading.reader.close();
      const again = await Reading.start(bytesOf('anew'), { restored });
      t.teardown(() => again.reader.close());
      await t.throwsAsync(
        again.until(() => false),
        expected,
      );
      t.is(again.output.records.length, 0);
    },
  );

  test.serial('a broker that is killed and comes back is waited for', async (t) => {
    await kafka.createTopic('patient', 2);
    await write('patient', 10);
    const reading = await readingOf('patient', 10);
    t.teardown(() => reading.reader.close());
    await kafka.kill();
    const more = reading.until(() => reading.output.records.length === 15);
    await kafka.restart();
    await write('patient', 5);
    await more;
    t.is(reading.output.records.length, 15);
  });
}
