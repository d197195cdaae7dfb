import test, { type ExecutionContext } from 'ava';
import type { SinkWriter } from '../../../api/sink.js';
import { t as types } from '../../../api/schema.js';
import { NO_TIMESTAMP } from '../../../core/record-codec.js';
import { json } from '../../../connectors/formats/json.js';
import { raw } from '../../../connectors/formats/raw.js';
import { COMPRESSIONS } from '../../../connectors/kafka/compression.js';
import {
  kafkaSink,
  kafkaSource,
  type KafkaCommittable,
  type KafkaSinkOptions,
} from '../../../connectors/kafka/index.js';
import { systemClock } from '../../../process/system-clock.js';
import { kafkaAvailability } from '../../services/kafka-installation.js';
import { KAFKA_USERS } from '../../services/kafka-security.js';
import { readTopics } from '../../services/kafka-topic-reader.js';
import { KafkaService } from '../../services/kafka.js';
import { sinkContext, sinkContract } from '../sink-contract.js';
import { readAll } from './kafka-reading.js';

interface Sale {
  readonly shop: string;
  readonly price: number;
}
const Sale = types.record({ shop: types.string, price: types.float64 });
const byShop = { of: ({ shop }: Sale) => shop || null, format: json(types.string) };

const found = kafkaAvailability();
if (found.available) testRecords(await KafkaService.start({ secured: true }));
else test.skip(`records of the Kafka sink did not run: ${found.reason}`, (t) => t.pass());

function testRecords(kafka: KafkaService): void {
  test.after.always(() => kafka.stop());
  const connection = { brokers: kafka.brokers() };
  const context = (jobId: string): ReturnType<typeof sinkContext> => ({
    ...sinkContext(1, jobId),
    clock: systemClock,
  });

  const writerOf = async <T, K>(
    t: ExecutionContext,
    options: Omit<KafkaSinkOptions<T, K>, 'connection'>,
  ): Promise<SinkWriter<T, KafkaCommittable>> => {
    const writer = await kafkaSink({ connection, ...options }).createWriter(context(t.title));
    t.teardown(() => writer.close());
    return writer;
  };

  let contracts = 0;
  sinkContract(
    test.serial,
    'Kafka',
    async () => {
      const topic = `contract-${++contracts}`;
      await kafka.createTopic(topic, 2);
      return {
        clock: systemClock,
        // Jobs of one id are one job to the markers.
        sink: kafkaSink({ connection, topic, value: raw(), transactionalIdPrefix: topic }),
        record: (index: number) => Buffer.from(String(index)),
        read: async () => {
          const source = kafkaSource({
            connection,
            topics: topic,
            value: raw(),
            boundedAt: 'latest',
          });
          return (await readAll(source)).map((value) => Number(Buffer.from(value).toString()));
        },
        dispose: () => Promise.resolve(),
      };
    },
    8,
  );

  test.serial(
    'keys, tombstones, headers, times, topics and codecs arrive as written',
    async (t) => {
      await kafka.createTopic('cheap', 3);
      await kafka.createTopic('dear', 3, { 'cleanup.policy': 'compact' });
      const sales = ['Bäckerei', 'a', 'b', 'a', ''].map((shop, index) => ({ shop, price: index }));
      const names = ['cheap', 'dear'];
      for (const compression of COMPRESSIONS) {
        const sink = kafkaSink<Sale, string>({
          connection,
          topic: { names, of: ({ price }) => (price === 3 ? 'dear' : 'cheap') },
          value: json(Sale),
          key: byShop,
          tombstone: ({ price }) => price === 3,
          headers: () => [{ key: 'codec', value: Buffer.from(compression) }, { key: 'none' }],
          compression,
        });
        const committer = await sink.createCommitter(context(compression));
        t.teardown(() => committer.close());
        const writer = await sink.createWriter(context(compression));
        for (const sale of sales) writer.write(sale, sale.price === 0 ? NO_TIMESTAMP : sale.price);
        await committer.commit(await writer.prepareCommit(1));
      }
      const records = await readTopics(kafka, names);
      t.is(records.length, COMPRESSIONS.length * sales.length);
      for (const compression of COMPRESSIONS) {
        const own = records.filter(({ headers }) => headers[0]?.[1]?.toString() === compression);
        const seen = own.map(({ key, value, topic }) => [
          topic,
          key?.toString(),
          value?.toString(),
        ]);
        t.deepEqual(
          seen.sort(),
          [
            ['cheap', '"Bäckerei"', '{"shop":"Bäckerei","price":0}'],
            ['cheap', '"a"', '{"shop":"a","price":1}'],
            ['cheap', '"b"', '{"shop":"b","price":2}'],
            ['cheap', undefined, '{"shop":"","price":4}'],
            ['dear', '"a"', undefined],
          ].sort(),
        );
        t.deepEqual(own[0]?.headers[1], ['none', null]);
      }
      const now = Date.now();
      for (const { value, timestamp } of records) {
        const price = value === null ? 3 : (JSON.parse(value.toString()) as Sale).price;
        if (price === 0) t.true(timestamp > now - 60_000 && timestamp <= now);
        else t.is(timestamp, price);
      }
    },
  );

  test.serial('a record that the topic can’t take is told with its topic', async (t) => {
    await kafka.createTopic('small', 2, { 'max.message.bytes': '2000' });
    await kafka.createTopic('keyed', 1, { 'cleanup.policy': 'compact' });
    const bytes = (length: number): Uint8Array => new Uint8Array(length);
    const small = { topic: 'small', value: raw(), delivery: 'atLeastOnce' } as const;
    const writer = await writerOf(t, small);
    t.throws(() => writer.write(bytes(3_000), 0), {
      message:
        /^OUTPUT_FAILED: topic "small" takes batches of at most 2000 bytes: a record of 30\d\d bytes .*max\.message\.bytes/,
    });
    // Nothing of it is left behind, and the largest that fits is taken.
    writer.write(bytes(1_900), 0);
    writer.write(bytes(1_900), 0);
    await writer.prepareCommit(1);
    const astray = await writerOf(t, { ...small, partitioner: () => 2 });
    t.throws(() => astray.write(bytes(1), 0), {
      message: /gives partition 2 of topic "small", which has 2; give a whole number from 0 to 1/,
    });
    const topic = { names: ['small'], of: () => 'other' };
    const lost = await writerOf(t, { ...small, topic });
    t.throws(() => lost.write(bytes(1), 0), { message: /goes to topic "other".*topic\.names/ });
    const timeless = await writerOf(t, { ...small, timestamp: () => 1.5 });
    t.throws(() => timeless.write(bytes(1), 0), { message: /timestamp of a record is 1\.5/ });
    await t.throwsAsync(writerOf(t, { ...small, topic: 'keyed' }), {
      message: /^PARAM_INVALID: kafkaSink: topic "keyed" is compacted.*give key/,
    });
    const keyed = await writerOf<Sale, string>(t, {
      topic: 'keyed',
      value: json(Sale),
      key: byShop,
    });
    t.throws(() => keyed.write({ shop: '', price: 1 }, 0), {
      message: /^OUTPUT_FAILED: a record of a compacted topic has no key \(topic "keyed"\)/,
    });
    const bounded = await writerOf(t, { ...small, delivery: 'exactlyOnce', epochBytesMax: 5_000 });
    t.throws(
      () => {
        for (let record = 0; record < 10; record++) bounded.write(bytes(1_500), 0);
      },
      { message: /holds more than 5000 bytes for one checkpoint; shorten checkpoint\.intervalMs/ },
    );
  });

  test.serial('a topic that is not there, and what a user may not do, are told', async (t) => {
    await t.throwsAsync(writerOf(t, { topic: 'nowhere', value: raw() }), {
      message: /^TOPIC_MISSING: .*topic "nowhere"/,
    });
    t.false((await kafka.admin.listTopics()).includes('nowhere'));
    await kafka.createTopic('guarded', 1);
    await kafka.deny('alice', 'TRANSACTIONAL_ID', 'millrace/guarded/out/0');
    await kafka.deny('bob', 'TOPIC', 'guarded');
    const as = (username: keyof typeof KAFKA_USERS): ReturnType<typeof kafkaSink<Uint8Array>> => {
      const variable = `MILLRACE_TEST_${username}`;
      process.env[variable] = KAFKA_USERS[username];
      const sasl = { mechanism: 'plain', username, password: { env: variable } } as const;
      const login = { brokers: kafka.brokers('SASL_PLAINTEXT'), sasl };
      return kafkaSink({ connection: login, topic: 'guarded', value: raw() });
    };
    await t.throwsAsync(as('alice').createCommitter(context('guarded')), {
      message: /^ACCESS_DENIED: .*transactional id "millrace\/guarded\/out\/0"/,
    });
    await t.throwsAsync(as('bob').createWriter(context('guarded')), {
      message: /^ACCESS_DENIED: .*topic "guarded"/,
    });
  });

  test.serial('what a sink with transactions left is committed by one without', async (t) => {
    await kafka.createTopic('left', 1);
    const options = { connection, topic: 'left', value: raw() };
    const first = await kafkaSink(options).createCommitter(context('left'));
    const writer = await kafkaSink(options).createWriter(context('left'));
    writer.write(Buffer.from('x'), 0);
    const pending = await writer.prepareCommit(1);
    await first.close();
    const later = { ...context('left'), attempt: 2 };
    const second = await kafkaSink({ ...options, delivery: 'none' }).createCommitter(later);
    for (const again of [1, 2]) await t.notThrowsAsync(second.commit(pending), `${again}`);
    await t.throwsAsync(
      kafkaSink({ ...options, markerTopic: 'other' })
        .createCommitter(later)
        .then((committer) => committer.commit(pending).finally(() => committer.close())),
      { message: /^OUTPUT_CONFLICT: .*markers in topic "millrace-sink-markers"/ },
    );
    t.deepEqual(
      (await readTopics(kafka, ['left'])).map(({ value }) => String(value)),
      ['x'],
    );
  });

  test.serial('at least once: a broker that dies costs no record', async (t) => {
    await kafka.createTopic('at-least', 2);
    const writer = await writerOf(t, { topic: 'at-least', value: raw(), delivery: 'atLeastOnce' });
    const fast = await writerOf(t, { topic: 'at-least', value: raw(), delivery: 'none' });
    fast.write(Buffer.from('none'), 0);
    t.deepEqual(await fast.prepareCommit(1), []);
    const write = async (checkpointId: number): Promise<void> => {
      for (let record = 0; record < 500; record++) {
        writer.write(Buffer.from(`${checkpointId}-${record}`), 0);
        if (record % 100 === 0) await writer.prepareCommit(checkpointId);
      }
      await writer.prepareCommit(checkpointId);
    };
    await write(1);
    await kafka.kill();
    const back = kafka.restart();
    await write(2);
    await back;
    await write(3);
    const seen = new Set((await readTopics(kafka, ['at-least'])).map(({ value }) => String(value)));
    for (const checkpointId of [1, 2, 3]) {
      for (let record = 0; record < 500; record++) {
        t.true(seen.has(`${checkpointId}-${record}`), `${checkpointId}-${record}`);
      }
    }
    t.is(seen.size, 1_501);
  });
}
