import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import test, { type ExecutionContext } from 'ava';
import kafkajs, { Kafka, logLevel, type Producer } from 'kafkajs';
import { KAFKA_VERSIONS, type KafkaVersion } from './install-kafka.js';
import { dumpLog } from './kafka-log-dump.js';
import { kafkaAvailability } from './kafka-installation.js';
import { readTopics } from './kafka-topic-reader.js';
import { KafkaService, type KafkaOptions } from './kafka.js';

const VALID = { isValid: true, compression: 'none' };

for (const version of KAFKA_VERSIONS) {
  const found = kafkaAvailability(version);
  if (found.available) testOneBroker(version);
  else test.skip(`Kafka ${version} did not run: ${found.reason}`, (t) => t.pass());
}
if (kafkaAvailability().available) testOthers();

async function started(t: ExecutionContext, options: KafkaOptions): Promise<KafkaService> {
  const kafka = await KafkaService.start(options);
  t.teardown(() => kafka.stop());
  return kafka;
}

async function producing(
  t: ExecutionContext,
  kafka: KafkaService,
  transactionalId?: string,
): Promise<Producer> {
  const client = new Kafka({ brokers: kafka.brokers(), logLevel: logLevel.NOTHING });
  const producer = client.producer({
    ...(transactionalId === undefined ? {} : { transactionalId, maxInFlightRequests: 1 }),
    idempotent: true,
    retry: { retries: 100, initialRetryTime: 20, maxRetryTime: 200 },
  });
  await producer.connect();
  t.teardown(() => producer.disconnect());
  return producer;
}

/** The index of the broker that leads the only partition. */
async function leaderOf(kafka: KafkaService, topic: string): Promise<number> {
  const { topics } = await kafka.admin.fetchTopicMetadata({ topics: [topic] });
  return (topics[0]?.partitions[0]?.leader ?? 0) - 1;
}

function testOneBroker(version: KafkaVersion): void {
  test.serial(
    `Kafka ${version}: what was committed is read, and stays there at a kill`,
    async (t) => {
      const kafka = await started(t, { version });
      await kafka.createTopic('orders', 2);
      await kafka.createTopic('plain');
      const producer = await producing(t, kafka, 'a writer');
      const committed = await producer.transaction();
      const record = { key: 'k', value: '\t\n', timestamp: '7', headers: { a: 'b', c: '' } };
      await committed.send({ topic: 'orders', messages: [{ ...record, partition: 1 }] });
      await committed.send({ topic: 'plain', messages: [{ value: null, timestamp: '8' }] });
      await committed.commit();
      const aborted = await producer.transaction();
      await aborted.send({ topic: 'orders', messages: [{ value: 'no', partition: 1 }] });
      await aborted.abort();

      const texts = (await readTopics(kafka, ['orders', 'plain'])).map((read) => ({
        ...read,
        key: read.key?.toString(),
        value: read.value?.toString(),
        headers: read.headers.map(([name, value]) => `${name}=${value?.toString()}`),
      }));
      t.deepEqual(
        texts.sort((one, other) => one.timestamp - other.timestamp),
        [
          {
            ...{ topic: 'orders', partition: 1, offset: 0, timestamp: 7 },
            ...{ key: 'k', value: '\t\n', headers: ['a=b', 'c='] },
          },
          {
            ...{ topic: 'plain', partition: 0, offset: 0, timestamp: 8 },
            ...{ key: undefined, value: undefined, headers: [] },
          },
        ],
      );
      kafka.pause();
      kafka.resume();
      await kafka.kill();
      await kafka.restart();
      const ends = await kafka.admin.fetchTopicOffsets('orders');
      t.deepEqual(ends.map(({ partition, high }) => [partition, high]).sort(), [
        [0, '0'],
        [1, '4'],
      ]);
      t.like(await dumpLog(kafka, 'orders', 1), [
        { ...VALID, records: 1, baseSequence: 0, isTransactional: true, isControl: false },
        { ...VALID, records: 1, isTransactional: true, isControl: true },
        { ...VALID, records: 1, baseSequence: 1, isTransactional: true, isControl: false },
        { ...VALID, records: 1, isTransactional: true, isControl: true },
      ]);
    },
  );
}

function testOthers(): void {
  test.serial('three brokers elect another leader when theirs is killed', async (t) => {
    const kafka = await started(t, { brokers: 3 });
    await kafka.createTopic('orders');
    const producer = await producing(t, kafka);
    await producer.send({ topic: 'orders', messages: [{ value: 'before' }] });
    const leader = await leaderOf(kafka, 'orders');
    await kafka.kill(leader);
    await producer.send({ topic: 'orders', messages: [{ value: 'without it' }] });
    t.not(await leaderOf(kafka, 'orders'), leader);
    await t.throwsAsync(readTopics(kafka, ['absent']), { message: /there is no topic absent/ });
    const [ends] = await kafka.admin.fetchTopicOffsets('orders');
    t.is(ends?.high, '2');
  });

  test.serial('as a process it tells where it is, and ends with its standard input', async (t) => {
    const main = 'dist/test/services/kafka-main.js';
    const refused = spawn(process.execPath, [main, 'orders'], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    const [reason] = (await once(createInterface(refused.stdout), 'line')) as [string];
    t.regex(reason, /"orders\\" is no topic; give .*NAME:PARTITIONS.*, such as orders:4/);
    const child = spawn(process.execPath, [main, 'orders:2', 'users:1:compact'], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    t.teardown(() => child.kill('SIGKILL'));
    const [line] = (await once(createInterface(child.stdout), 'line')) as [string];
    const { bootstrapServers } = JSON.parse(line) as { bootstrapServers: string };
    const client = new Kafka({ brokers: [bootstrapServers], logLevel: logLevel.NOTHING });
    const admin = client.admin();
    await admin.connect();
    t.deepEqual((await admin.listTopics()).sort(), ['orders', 'users']);
    const resources = [{ type: kafkajs.ConfigResourceTypes.TOPIC, name: 'users' }];
    const { resources: found } = await admin.describeConfigs({ resources, includeSynonyms: false });
    const policy = found[0]?.configEntries.find(
      ({ configName }) => configName === 'cleanup.policy',
    );
    t.is(policy?.configValue, 'compact');
    await admin.disconnect();
    child.stdin.end();
    t.deepEqual(await once(child, 'exit'), [0, null]);
  });
}
