/** What a broker limits (time of a login, bytes per second, bytes of a record) or takes away, and what a job says of it. */
import test, { type ExecutionContext } from 'ava';
import { raw } from '../../../connectors/formats/raw.js';
import {
  kafkaSink,
  kafkaSource,
  type KafkaCommittable,
  type KafkaConnectionOptions,
  type KafkaSinkOptions,
} from '../../../connectors/kafka/index.js';
import { systemClock } from '../../../process/system-clock.js';
import type { Committer, SinkWriter } from '../../../api/sink.js';
import { kafkaAvailability, runKafkaTool } from '../../services/kafka-installation.js';
import { KAFKA_USERS } from '../../services/kafka-security.js';
import { readTopics } from '../../services/kafka-topic-reader.js';
import { KafkaService } from '../../services/kafka.js';
import { sinkContext } from '../sink-contract.js';
import { Reading } from './kafka-reading.js';

const SESSION_MS = 1_500;
const SETTINGS = {
  'listener.name.sasl_plaintext.scram-sha-256.connections.max.reauth.ms': SESSION_MS,
  // Bytes are counted over so many seconds: a quota holds from the second on.
  'quota.window.num': 2,
};
const MIB = 1024 * 1024;

const found = kafkaAvailability();
if (found.available) {
  testLimits(await KafkaService.start({ secured: true, settings: SETTINGS }));
} else {
  test.skip(`the limits of brokers did not run: ${found.reason}`, (t) => t.pass());
}

/** A subtask's writer and committer. */
interface Writing {
  readonly writer: SinkWriter<Uint8Array, KafkaCommittable>;
  readonly committer: Committer<KafkaCommittable>;
}

function testLimits(kafka: KafkaService): void {
  test.after.always(() => kafka.stop());
  const plain = { brokers: kafka.brokers() };

  const writingTo = async (
    t: ExecutionContext,
    topic: string,
    more: Partial<KafkaSinkOptions<Uint8Array>> = {},
  ): Promise<Writing> => {
    const sink = kafkaSink({ connection: plain, topic, value: raw(), ...more });
    const context = { ...sinkContext(1, topic), clock: systemClock };
    const committer = await sink.createCommitter(context);
    t.teardown(() => committer.close());
    const writer = await sink.createWriter(context);
    t.teardown(() => writer.close());
    return { writer, committer };
  };
  const reading = async (
    t: ExecutionContext,
    topic: string,
    connection: KafkaConnectionOptions = plain,
  ): Promise<Reading<Uint8Array>> => {
    const read = await Reading.start(kafkaSource({ connection, topics: topic, value: raw() }));
    t.teardown(() => read.reader.close());
    return read;
  };
  const configure = (entity: readonly string[], settings: string): Promise<string> =>
    runKafkaTool(kafka.version, [
      ...['kafka.admin.ConfigCommand', '--bootstrap-server', kafka.bootstrapServers],
      ...['--alter', ...entity, '--add-config', settings],
    ]);

  test.serial(
    'a login that expires is renewed: in use, after a pause, by a new password',
    async (t) => {
      process.env['MILLRACE_TEST_SESSION'] = KAFKA_USERS.alice;
      const connection: KafkaConnectionOptions = {
        brokers: kafka.brokers('SASL_PLAINTEXT'),
        sasl: {
          mechanism: 'scram-sha-256',
          username: 'alice',
          password: { env: 'MILLRACE_TEST_SESSION' },
        },
      };
      await kafka.createTopic('session', 2);
      await kafka.createTopic('session-once', 1);
      const read = await reading(t, 'session', connection);
      const atLeastOnce = await writingTo(t, 'session', { connection, delivery: 'atLeastOnce' });
      const once = await writingTo(t, 'session-once', { connection });
      let rounds = 0;
      const round = async (): Promise<void> => {
        const value = Buffer.from(String(rounds));
        rounds++;
        atLeastOnce.writer.write(value, 0);
        once.writer.write(value, 0);
        await atLeastOnce.writer.prepareCommit(rounds);
        await once.committer.commit(await once.writer.prepareCommit(rounds));
        await read.until(() => read.output.records.length >= rounds);
      };
      const inUseUntil = systemClock.monotonic() + 2.2 * SESSION_MS;
      while (systemClock.monotonic() < inUseUntil) await round();
      // How long nothing is asked is what this is about.
      await new Promise<void>((resolve) => systemClock.setTimer(1.5 * SESSION_MS, resolve));
      await round();
      // Those that are connected know the old one, and are refused when they renew it.
      process.env['MILLRACE_TEST_SESSION'] = 'another-secret';
      await configure(
        ['--entity-type', 'users', '--entity-name', 'alice'],
        'SCRAM-SHA-256=[password=another-secret]',
      );
      const renewedAt = systemClock.monotonic() + 1.2 * SESSION_MS;
      while (systemClock.monotonic() < renewedAt) await round();
      const expected = Array.from({ length: rounds }, (_, index) => String(index)).sort();
      const values = read.output.records.map((bytes) => Buffer.from(bytes).toString());
      t.deepEqual(values.sort(), expected);
      const written = await readTopics(kafka, ['session-once']);
      t.deepEqual(written.map(({ value }) => String(value)).sort(), expected);
    },
  );

  test.serial('a quota slows source and sink down to it, and fails nothing', async (t) => {
    await kafka.createTopic('quota', 1);
    const limits = `producer_byte_rate=${4 * MIB},consumer_byte_rate=${4 * MIB}`;
    await configure(['--entity-type', 'clients', '--entity-name', 'limited'], limits);
    const connection = { ...plain, clientId: 'limited' };
    const { writer, committer } = await writingTo(t, 'quota', {
      connection,
      batchBytes: 256 * 1024,
    });
    const timed = async (act: () => Promise<unknown>): Promise<number> => {
      const since = systemClock.monotonic();
      await act();
      return systemClock.monotonic() - since;
    };
    const records = 192;
    const value = Buffer.alloc(MIB / 16, 'x');
    for (let record = 0; record < records; record++) writer.write(value, 0);
    const pending = await writer.prepareCommit(1);
    const writingMs = await timed(() => committer.commit(pending));
    const read = await reading(t, 'quota', connection);
    const readingMs = await timed(() => read.until(() => read.output.records.length >= records));
    t.is(read.output.records.length, records);
    // 12 MiB, of which those of the first second are free.
    t.true(writingMs > 1_000, `written in ${writingMs} ms`);
    t.true(readingMs > 1_000, `read in ${readingMs} ms`);
    t.log({ writingMs, readingMs });
  });

  test.serial('a time that the topic does not take is refused with the remedy', async (t) => {
    await kafka.createTopic('dated', 1, { 'message.timestamp.after.max.ms': '3600000' });
    const { writer } = await writingTo(t, 'dated', { delivery: 'atLeastOnce' });
    writer.write(Buffer.from('x'), 4_000_000_000_000);
    await t.throwsAsync(Promise.resolve(writer.prepareCommit(1)), {
      message:
        /^BROKER_REFUSED: .*topic "dated" partition 0: INVALID_TIMESTAMP .*raise the topic's message\.timestamp\.after/,
    });
  });

  test.serial(
    'a record of 20 MB goes where it may, and is refused by name elsewhere',
    async (t) => {
      const large = Buffer.alloc(20 * MIB, 'x');
      await kafka.createTopic('large', 1, { 'max.message.bytes': String(30 * MIB) });
      await kafka.createTopic('usual', 1);
      const there = await writingTo(t, 'large');
      there.writer.write(large, 0);
      await there.committer.commit(await there.writer.prepareCommit(1));
      const read = await reading(t, 'large');
      await read.until(() => read.output.records.length === 1);
      t.is(read.output.records[0]?.length, large.length);

      const elsewhere = await writingTo(t, 'usual');
      t.throws(() => elsewhere.writer.write(large, 0), {
        message: /^OUTPUT_FAILED: topic "usual" takes batches of at most 1048588 bytes: a record/,
      });
    },
  );

  test.serial('a topic that is deleted under a sink is told by its name', async (t) => {
    await kafka.createTopic('gone', 1);
    const soon = { patienceMs: 1_000 };
    const once = await writingTo(t, 'gone', soon);
    const atLeastOnce = await writingTo(t, 'gone', { ...soon, delivery: 'atLeastOnce' });
    await kafka.admin.deleteTopics({ topics: ['gone'] });
    const missing = { message: /^TOPIC_MISSING: .* topic "gone".*create the topic, or correct/ };
    for (const { writer } of [once, atLeastOnce]) writer.write(Buffer.from('x'), 0);
    const pending = await once.writer.prepareCommit(1);
    await Promise.all([
      t.throwsAsync(once.committer.commit(pending), missing),
      t.throwsAsync(Promise.resolve(atLeastOnce.writer.prepareCommit(1)), missing),
    ]);
  });

  test.serial(
    'a limit that is lowered fails the commit, which goes on once it is raised',
    async (t) => {
      await kafka.createTopic('lowered', 1);
      const { writer, committer } = await writingTo(t, 'lowered');
      const atLeastOnce = await writingTo(t, 'lowered', { delivery: 'atLeastOnce' });
      const limit = (bytes: number): Promise<string> =>
        configure(
          ['--entity-type', 'topics', '--entity-name', 'lowered'],
          `max.message.bytes=${bytes}`,
        );
      await limit(1_000);
      writer.write(Buffer.alloc(5_000), 0);
      const pending = await writer.prepareCommit(1);
      const refused = {
        message:
          /^BROKER_REFUSED: .* refused Produce for topic "lowered" partition 0: MESSAGE_TOO_LARGE .*raise the topic's max\.message\.bytes/,
      };
      await t.throwsAsync(committer.commit(pending), refused);
      atLeastOnce.writer.write(Buffer.alloc(5_000), 0);
      await t.throwsAsync(Promise.resolve(atLeastOnce.writer.prepareCommit(1)), refused);
      await limit(10_000);
      await committer.commit(pending);
      t.is((await readTopics(kafka, ['lowered'])).length, 1);
    },
  );
}
