import test, { type ExecutionContext } from 'ava';
import { Kafka, logLevel, type KafkaConfig, type SASLOptions } from 'kafkajs';
import { kafkaAvailability } from './kafka-installation.js';
import { CERTIFIED_USER, KAFKA_USERS, unsecuredToken } from './kafka-security.js';
import { KafkaService } from './kafka.js';

const VERSION = '4';
const RETRIES = { retry: { retries: 10, initialRetryTime: 20, maxRetryTime: 200 } };
const { alice, bob } = KAFKA_USERS;
/** What the broker says of the denial, kafkajs does not pass on. */
const KAFKAJS_DENIED_ID = { message: 'Failed to find group coordinator' };
const LOGINS: readonly SASLOptions[] = [
  { mechanism: 'plain', username: 'alice', password: alice },
  { mechanism: 'scram-sha-256', username: 'alice', password: alice },
  { mechanism: 'scram-sha-512', username: 'alice', password: alice },
];

const found = kafkaAvailability(VERSION);
if (found.available) testSecurity();
else test.skip(`Kafka ${VERSION} did not run: ${found.reason}`, (t) => t.pass());

function clientOf(config: KafkaConfig): Kafka {
  return new Kafka({ ...config, ...RETRIES, logLevel: logLevel.NOTHING });
}

/** A topic that this client, and nobody else here, writes to. */
async function writes(t: ExecutionContext, client: Kafka, topic: string): Promise<void> {
  const producer = client.producer(RETRIES);
  await producer.connect();
  t.teardown(() => producer.disconnect());
  const [written] = await producer.send({ topic, messages: [{ value: 'x' }] });
  t.is(written?.errorCode, 0);
}

function testSecurity(): void {
  test('a secured Kafka takes certificates and logins, and heeds denials', async (t) => {
    const kafka = await KafkaService.start({ version: VERSION, secured: true });
    t.teardown(() => kafka.stop());
    const { authority, certificate, key } = kafka.clientCertificates;
    const ssl = { ca: [authority] };
    const bearer: SASLOptions = {
      mechanism: 'oauthbearer',
      oauthBearerProvider: () => Promise.resolve({ value: unsecuredToken('alice') }),
    };
    await kafka.createTopic('open');
    await writes(t, clientOf({ brokers: kafka.brokers('SSL'), ssl }), 'open');
    for (const sasl of [...LOGINS, bearer]) {
      await writes(t, clientOf({ brokers: kafka.brokers('SASL_PLAINTEXT'), sasl }), 'open');
      await writes(t, clientOf({ brokers: kafka.brokers('SASL_SSL'), ssl, sasl }), 'open');
    }
    const unknown = clientOf({ brokers: kafka.brokers('SSL'), ssl: true });
    await t.throwsAsync(unknown.admin().connect(), { message: /unable to verify/ });
    const wrong = { mechanism: 'plain', username: 'alice', password: bob } as const;
    const refused = clientOf({ brokers: kafka.brokers('SASL_PLAINTEXT'), sasl: wrong });
    await t.throwsAsync(refused.admin().connect(), { message: /Authentication failed/ });

    await kafka.createTopic('guarded');
    await kafka.deny('alice', 'TOPIC', 'guarded');
    await kafka.deny(CERTIFIED_USER, 'TOPIC', 'guarded');
    await kafka.deny('alice', 'TRANSACTIONAL_ID', 'writer');
    const brokers = kafka.brokers('SASL_PLAINTEXT');
    const loginOf = (username: keyof typeof KAFKA_USERS): Kafka =>
      clientOf({
        brokers,
        sasl: { mechanism: 'plain', username, password: KAFKA_USERS[username] },
      });
    const certified = { ...ssl, cert: certificate, key };
    await writes(t, loginOf('bob'), 'guarded');
    await t.throwsAsync(writes(t, loginOf('alice'), 'guarded'), { message: /authorized/ });
    await t.throwsAsync(
      writes(t, clientOf({ brokers: kafka.brokers('SSL'), ssl: certified }), 'guarded'),
      { message: /authorized/ },
    );
    for (const user of ['alice', 'bob'] as const) {
      const producer = loginOf(user).producer({ ...RETRIES, transactionalId: 'writer' });
      await producer.connect();
      t.teardown(() => producer.disconnect());
      const begun = producer.transaction();
      if (user === 'bob') await (await begun).abort();
      else await t.throwsAsync(begun, KAFKAJS_DENIED_ID);
    }
  });
}
