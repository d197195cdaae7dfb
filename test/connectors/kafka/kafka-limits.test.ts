/** What a broker limits (time of a login, bytes per second, bytes of a record), forbids, takes away or adds, and what a job says of it. */
import test, { type ExecutionContext } from 'ava';
import { raw } from '../../../connectors/formats/raw.js';
import {
  kafkaSink,
  kafkaSource,
  type KafkaCommittable,
  type KafkaConnectionOptions,
  type KafkaSinkOptions,
  type KafkaTransaction,
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
  // Nobody waits for what has timed out.
  'transaction.abort.timed.out.transaction.cleanup.interval.ms': 100,
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
    attempt = 1,
  ): Promise<Writing> => {
    const sink = kafkaSink({ connection: plain, topic, value: raw(), ...more });
    const context = { ...sinkContext(attempt, topic), clock: systemClock };
    const committer = await sink.createCommitter(context);
    t.teardown(() => committer.close());
    if (attempt > 1) await committer.recover([]);
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

  let limiting: Promise<KafkaConnectionOptions> | undefined;
  /** As a client that may write, and read, 4 MiB per second. */
  const limited = (): Promise<KafkaConnectionOptions> => {
    limiting ??= configure(
      ['--entity-type', 'clients', '--entity-name', 'limited'],
      `producer_byte_rate=${4 * MIB},consumer_byte_rate=${4 * MIB}`,
    ).then(() => ({ ...plain, clientId: 'limited' }));
    return limiting;
  };

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

  for (const transaction of ['atCheckpoint', 'streaming'] as const) {
    test.serial(
      `a quota slows source and sink down to it, and fails nothing: ${transaction}`,
      async (t) => {
        const topic = `quota-${transaction}`;
        await kafka.createTopic(topic, 1);
        const connection = await limited();
        const { writer, committer } = await writingTo(t, topic, { connection, transaction });
        const timed = async (act: () => Promise<unknown>): Promise<number> => {
          const since = systemClock.monotonic();
          await act();
          return systemClock.monotonic() - since;
        };
        const records = numbered(192);
        const writingMs = await timed(async () => {
          for (const record of records) writer.write(record, 0);
          await committer.commit(await writer.prepareCommit(1));
        });
        const read = await reading(t, topic, connection);
        const readingMs = await timed(() =>
          read.until(() => read.output.records.length >= records.length),
        );
        t.deepEqual(numbersOf(read.output.records), numbersOf(records));
        // 12 MiB, of which those of the first second are free.
        t.true(writingMs > 1_000, `written in ${writingMs} ms`);
        t.true(readingMs > 1_000, `read in ${readingMs} ms`);
        t.log({ writingMs, readingMs });
      },
    );
  }

  test.serial('an epoch that a quota makes longer than a transaction may be says so', async (t) => {
    await kafka.createTopic('too-long', 1);
    const short = { transactionTimeoutMs: 1_000, patienceMs: 1_000 };
    const { writer, committer } = await writingTo(t, 'too-long', {
      ...short,
      connection: await limited(),
    });
    const records = numbered(192);
    for (const record of records) writer.write(record, 0);
    const pending = await writer.prepareCommit(1);
    await t.throwsAsync(committer.commit(pending), {
      message:
        /^BROKER_REFUSED: the brokers have ended transaction "millrace\/too-long\/out\/0" .* writing 12\d+ bytes took longer than transactionTimeoutMs \(1000\), .*; raise transactionTimeoutMs or the client's quota/,
    });
    // As it says.
    const longer = await writingTo(t, 'too-long');
    await longer.committer.commit(pending);
    const read = await reading(t, 'too-long');
    await read.until(() => read.output.records.length >= records.length);
    t.deepEqual(numbersOf(read.output.records), numbersOf(records));
  });

  test.serial('what a user has to be allowed for both kinds of transactions', async (t) => {
    const [topic, markerTopic] = ['permitted', 'permitted-markers'];
    await kafka.createTopic(topic, 1);
    const operations = ['WRITE', 'DESCRIBE'] as const;
    const ids = { resource: 'TRANSACTIONAL_ID', pattern: 'PREFIXED', operations } as const;
    await kafka.allow('bob', [
      { resource: 'TOPIC', name: topic, operations: ['READ', ...operations] },
      { resource: 'TOPIC', name: markerTopic, operations: ['READ', 'CREATE', ...operations] },
      { ...ids, name: 'open/' },
      // All that atCheckpoint needs: the id of one subtask.
      { ...ids, name: `narrow/${topic}/out/0`, pattern: 'LITERAL' },
    ]);
    await kafka.allow('alice', [
      { ...ids, name: 'closed/' },
      { ...ids, name: 'narrow/' },
    ]);
    process.env['MILLRACE_TEST_BOB'] = KAFKA_USERS.bob;
    const connection: KafkaConnectionOptions = {
      brokers: kafka.brokers('SASL_PLAINTEXT'),
      sasl: {
        mechanism: 'scram-sha-512',
        username: 'bob',
        password: { env: 'MILLRACE_TEST_BOB' },
      },
    };
    let checkpointId = 0;
    const write = async (
      transactionalIdPrefix: string,
      transaction: KafkaTransaction,
    ): Promise<void> => {
      const options = { connection, markerTopic, transactionalIdPrefix, transaction };
      const { writer, committer } = await writingTo(t, topic, options);
      checkpointId++;
      writer.write(Buffer.from(`${transactionalIdPrefix} ${transaction}`), 0);
      await committer.commit(await writer.prepareCommit(checkpointId));
    };
    const denied = (id: string): { readonly message: RegExp } => ({
      message: new RegExp(
        `^ACCESS_DENIED: .* for transactional id "${id}": .* give the user WRITE and DESCRIBE on all ` +
          'transactional ids that begin with the sink.s transactionalIdPrefix \\(.* PREFIXED\\)$',
      ),
    });
    await write('open', 'streaming');
    await write('open', 'atCheckpoint');
    await t.throwsAsync(write('closed', 'streaming'), denied('closed/permitted/out/0'));
    await t.throwsAsync(write('closed', 'atCheckpoint'), denied('closed/permitted/out/0'));
    await write('narrow', 'atCheckpoint');
    await t.throwsAsync(write('narrow', 'streaming'), denied('narrow/permitted/out/0/1/\\d'));
    t.deepEqual(
      (await readTopics(kafka, [topic])).map(({ value }) => String(value)),
      ['open streaming', 'open atCheckpoint', 'narrow atCheckpoint'],
    );
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
        message:
          /^OUTPUT_FAILED: topic "usual" takes batches of at most 1048588 bytes: a record .*; raise the topic.s max\.message\.bytes, or make/,
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

  test.serial('a partition that is added is used after the next start', async (t) => {
    const transactions = ['atCheckpoint', 'streaming'] as const;
    const topicOf = (transaction: KafkaTransaction): string => `grown-${transaction}`;
    for (const transaction of transactions) {
      const topic = topicOf(transaction);
      await kafka.createTopic(topic, 2);
      const partitioner = ([first = 0]: Uint8Array, partitions: number): number =>
        first % partitions;
      const options = { transaction, partitioner };
      const before = await writingTo(t, topic, options);
      const write = ({ writer }: Writing, from: number): void => {
        for (let value = from; value < from + 6; value++) writer.write(Uint8Array.of(value), 0);
      };
      write(before, 0);
      await before.committer.commit(await before.writer.prepareCommit(1));
      write(before, 6);
      await kafka.growTopic(topic, 3);
      write(before, 12);
      await before.committer.commit(await before.writer.prepareCommit(2));
      const after = await writingTo(t, topic, options, 2);
      write(after, 18);
      await after.committer.commit(await after.writer.prepareCommit(3));
    }
    const written = await readTopics(kafka, transactions.map(topicOf));
    for (const transaction of transactions) {
      const placed = written
        .filter(({ topic }) => topic === topicOf(transaction))
        .map(({ partition, value }) => [value?.[0] ?? -1, partition] as const)
        .sort(([left], [right]) => left - right);
      const expected = Array.from({ length: 24 }, (_, value) => [
        value,
        value % (value < 18 ? 2 : 3),
      ]);
      t.deepEqual(placed, expected, transaction);
    }
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

/** Records of 64 KiB. */
function numbered(count: number): readonly Uint8Array[] {
  return Array.from({ length: count }, (_, index) => {
    const record = Buffer.alloc(MIB / 16, 'x');
    record.writeUInt32BE(index);
    return record;
  });
}

function numbersOf(records: readonly Uint8Array[]): readonly number[] {
  return records.map((record) => Buffer.from(record).readUInt32BE());
}
