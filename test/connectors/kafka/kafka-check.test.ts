/**
 * What whoever submits a job is told of a cluster, each mistake by a real broker: one message of one line that
 * begins with the code, names broker and topic where there is one, and ends with what to do.
 */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { DEFAULT_CHECKPOINT, DEFAULT_RESTART } from '../../../api/job.js';
import { raw } from '../../../connectors/formats/raw.js';
import {
  kafkaSink,
  kafkaSource,
  type KafkaConnectionOptions,
  type KafkaSaslOptions,
} from '../../../connectors/kafka/index.js';
import { systemClock } from '../../../process/system-clock.js';
import { kafkaAvailability } from '../../services/kafka-installation.js';
import { KAFKA_USERS, type KafkaUser } from '../../services/kafka-security.js';
import { KafkaService } from '../../services/kafka.js';
import { temporaryFolder } from '../../temporary-folder.js';

const CONTEXT = {
  clock: systemClock,
  settings: { checkpoint: DEFAULT_CHECKPOINT, restart: DEFAULT_RESTART },
};

const found = kafkaAvailability();
if (found.available) {
  testCheck(
    await KafkaService.start({
      secured: true,
      settings: {
        'auto.create.topics.enable': true,
        'listener.name.sasl_ssl.ssl.client.auth': 'required',
      },
    }),
  );
} else {
  test.skip(`checks of Kafka jobs did not run: ${found.reason}`, (t) => t.pass());
}

function testCheck(kafka: KafkaService): void {
  test.after.always(() => kafka.stop());
  const plainText = kafka.brokers('SASL_PLAINTEXT');

  test.before(async () => {
    await Promise.all(
      ['open', 'hidden', 'unread', 'unwritten'].map((name) => kafka.createTopic(name, 1)),
    );
    await kafka.createTopic('compacted', 1, { 'cleanup.policy': 'compact' });
    await kafka.deny('alice', 'TOPIC', 'hidden');
    await kafka.deny('alice', 'TOPIC', 'unread', ['READ']);
    await kafka.deny('alice', 'TOPIC', 'unwritten', ['WRITE']);
    await kafka.deny('bob', 'TRANSACTIONAL_ID', 'millrace/');
  });

  const loginOf = (
    username: KafkaUser,
    password: string = KAFKA_USERS[username],
  ): KafkaSaslOptions => {
    const variable = `MILLRACE_TEST_${password.replaceAll('-', '_')}`;
    process.env[variable] = password;
    return { mechanism: 'scram-sha-256', username, password: { env: variable } };
  };
  const authorityFile = async (t: ExecutionContext): Promise<{ readonly file: string }> => {
    const file = join(await temporaryFolder(t), 'authority.pem');
    await writeFile(file, kafka.clientCertificates.authority);
    return { file };
  };

  const reading = async (connection: KafkaConnectionOptions, topics = 'open'): Promise<void> =>
    kafkaSource({ connection, topics, value: raw() }).check?.(CONTEXT);
  const writing = async (
    connection: KafkaConnectionOptions,
    topic = 'open',
    delivery: 'exactlyOnce' | 'atLeastOnce' = 'atLeastOnce',
  ): Promise<void> => kafkaSink({ connection, topic, value: raw(), delivery }).check?.(CONTEXT);

  /** Both of them, by default of a topic that is there. */
  const told = async (
    t: ExecutionContext,
    connection: KafkaConnectionOptions,
    message: RegExp,
    checks: readonly (typeof reading)[] = [reading, writing],
    topic = 'open',
  ): Promise<void> => {
    await Promise.all(
      checks.map(async (check) => {
        const error = await t.throwsAsync(check(connection, topic), { message });
        t.true(error.message.includes(connection.brokers[0] ?? ''), error.message);
        t.false(error.message.includes('\n'), error.message);
      }),
    );
  };

  test('no broker, and a port where no broker listens', async (t) => {
    const nobody =
      /^BROKER_UNREACHABLE: Kafka broker 127\.0\.0\.1:1: nothing listens there \(ECONNREFUSED\); start it, or correct the address$/;
    await told(t, { brokers: ['127.0.0.1:1'] }, nobody);
    const host = /^BROKER_UNREACHABLE: Kafka broker away\.invalid:9092: no such host .*; correct/;
    await told(t, { brokers: ['away.invalid:9092'] }, host);
  });

  test('TLS where there is none, and none where there is', async (t) => {
    const tls = { ca: await authorityFile(t) };
    await told(
      t,
      { brokers: kafka.brokers(), tls },
      /^BROKER_UNREACHABLE: Kafka broker .* closed the connection at the greeting; .* speaks TLS \(else leave out tls\)$/,
    );
    await told(
      t,
      { brokers: kafka.brokers('SSL') },
      /^BROKER_UNREACHABLE: Kafka broker .* closed the connection at the greeting; .* whether it expects TLS \(then set tls\)$/,
    );
  });

  test('a certificate that is not trusted, and one that is missing', async (t) => {
    const unknown =
      /^BROKER_UNREACHABLE: the certificate of Kafka broker .* is not trusted \(.*\); give the authority as tls\.ca,/;
    await told(t, { brokers: kafka.brokers('SSL'), tls: true }, unknown);
    const ca = await authorityFile(t);
    await told(
      t,
      { brokers: kafka.brokers('SASL_SSL'), tls: { ca }, sasl: loginOf('bob') },
      /^BROKER_UNREACHABLE: Kafka broker .* refused the TLS connection \(.*\); give the client's tls\.certificate and key$/,
    );
  });

  test('a wrong password, and none', async (t) => {
    const wrong = { brokers: plainText, sasl: loginOf('alice', 'not-hers') };
    await told(
      t,
      wrong,
      /^ACCESS_DENIED: Kafka broker .* did not let the user in \(.*\); correct sasl: mechanism, user name and secret$/,
    );
    const none =
      /^BROKER_UNREACHABLE: Kafka broker .* closed the connection at the first request; .* \(then set sasl\)$/;
    await told(t, { brokers: plainText }, none);
  });

  test('a topic that is not there, and is not made by asking', async (t) => {
    const missing =
      /^TOPIC_MISSING: Kafka broker .* topic "nowhere": .*; create the topic, or correct its name$/;
    await told(t, { brokers: kafka.brokers() }, missing, [reading, writing], 'nowhere');
    t.false((await kafka.admin.listTopics()).includes('nowhere'));
  });

  test('a topic that the user may not see, read or write', async (t) => {
    const alice = { brokers: plainText, sasl: loginOf('alice') };
    const hidden =
      /^ACCESS_DENIED: Kafka broker .* topic "hidden": .*; give the user an ACL for the topic$/;
    await told(t, alice, hidden, [reading, writing], 'hidden');
    const unread =
      /^ACCESS_DENIED: Kafka broker .* may not READ topic "unread"; give .* ACL for the topic with READ$/;
    await told(t, alice, unread, [reading], 'unread');
    const unwritten =
      /^ACCESS_DENIED: Kafka broker .* may not WRITE topic "unwritten"; give .* with WRITE$/;
    await told(t, alice, unwritten, [writing], 'unwritten');
    await t.notThrowsAsync(reading(alice, 'unwritten'));
    await t.notThrowsAsync(writing(alice, 'unread'));
    await t.notThrowsAsync(writing(alice, 'open', 'exactlyOnce'));
  });

  test('transactional ids that the user may not use', async (t) => {
    const bob = { brokers: plainText, sasl: loginOf('bob') };
    const exactlyOnce = (connection: KafkaConnectionOptions): Promise<void> =>
      writing(connection, 'open', 'exactlyOnce');
    await told(
      t,
      bob,
      /^ACCESS_DENIED: Kafka broker .* transactional id "millrace\/": .*; give the user WRITE and DESCRIBE on all transactional ids that begin with .*PREFIXED\)$/,
      [exactlyOnce],
    );
    await t.notThrowsAsync(writing(bob));
  });

  test('a compacted topic, and no key', async (t) => {
    await t.throwsAsync(writing({ brokers: kafka.brokers() }, 'compacted'), {
      message:
        /^PARAM_INVALID: kafkaSink: topic "compacted" is compacted, so that records need a key; give key$/,
    });
  });
}
