import { createServer } from 'node:net';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { KafkaClient } from '../../../connectors/kafka/kafka-client.js';
import type { KafkaConnectionOptions } from '../../../connectors/kafka/index.js';
import { RecordBatchBuilder } from '../../../connectors/kafka/record-batch-builder.js';
import { stampBatch } from '../../../connectors/kafka/record-batch-header.js';
import { EARLIEST, LATEST } from '../../../connectors/kafka/offset-requests.js';
import { systemClock } from '../../../process/system-clock.js';
import { kafkaAvailability } from '../../services/kafka-installation.js';
import { KAFKA_USERS, unsecuredToken } from '../../services/kafka-security.js';
import { KafkaService } from '../../services/kafka.js';
import { temporaryFolder } from '../../temporary-folder.js';

/** What is not there stays away: no test waits for it. */
function clientOf(
  t: ExecutionContext,
  connection: KafkaConnectionOptions,
  patienceMs = 0,
): KafkaClient {
  const client = new KafkaClient({ connection, clock: systemClock, patienceMs });
  t.teardown(() => client.close());
  return client;
}

/** The port of a server that is none of Kafka's. */
async function listening(t: ExecutionContext, greeting: string): Promise<number> {
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.once('data', () => socket.end(greeting));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => server.close());
  const address = server.address();
  return typeof address === 'object' && address !== null ? address.port : 0;
}

test('what is wrong with the reaching of a cluster is said in one message', async (t) => {
  const port = await listening(t, 'HTTP/1.1 400 Bad Request\r\n\r\n');
  const at = (address: string, more: Partial<KafkaConnectionOptions> = {}): Promise<unknown> =>
    clientOf(t, { brokers: [address], ...more }).metadata();
  await t.throwsAsync(at('127.0.0.1:1'), {
    message: /^BROKER_UNREACHABLE: Kafka broker 127\.0\.0\.1:1: nothing listens there/,
  });
  await t.throwsAsync(at('no-such-host.invalid:9092'), {
    message: /no-such-host\.invalid:9092: no such host/,
  });
  await t.throwsAsync(at(`127.0.0.1:${port}`), {
    message: /closed the connection at the greeting; check that this is a Kafka port/,
  });
  await t.throwsAsync(at(`127.0.0.1:${port}`, { tls: true }), {
    message: /does not speak TLS on this port/,
  });
  const sasl = {
    mechanism: 'plain',
    username: 'alice',
    password: { env: 'NO_SUCH_SECRET' },
  } as const;
  await t.throwsAsync(at('127.0.0.1:1', { sasl }), {
    message:
      /^PARAM_INVALID: sasl\.password: the worker has no environment variable NO_SUCH_SECRET/,
  });
});

const found = kafkaAvailability('4');
if (found.available) testClient();
else test.skip(`the Kafka client did not run: ${found.reason}`, (t) => t.pass());

function testClient(): void {
  test.serial('a transaction is produced, committed and fetched', async (t) => {
    const kafka = await KafkaService.start({ version: '4' });
    t.teardown(() => kafka.stop());
    const client = clientOf(t, { brokers: kafka.brokers() }, 15_000);
    const made = { topic: 'made', partitions: 1, replicationFactor: -1 };
    const config = { 'cleanup.policy': 'compact', 'max.message.bytes': '1000' };
    await client.createTopics([{ ...made, config }]);
    await client.createTopics([{ ...made, config }]);
    const [described] = await client.describeConfigs(['made'], ['cleanup.policy']);
    t.deepEqual(described?.config, { 'cleanup.policy': 'compact' });
    const [topic] = await client.topics(['made']);
    const leader = topic?.partitions[0]?.leader ?? -1;

    const fenced = await client.initProducerId('client', 30_000);
    const identity = await client.initProducerId('client', 30_000);
    const partition = { topic: 'made', partition: 0 };
    await t.throwsAsync(client.addPartitionsToTxn('client', fenced, [partition]), {
      message: /transactional id "client".*only one job may use this transactional id/,
    });
    const batchOf = (value: string, baseSequence: number): Buffer => {
      const builder = new RecordBatchBuilder({ batchBytesMax: 100_000 });
      builder.append(1_000, Buffer.from('k'), Buffer.from(value));
      const batch = builder.build();
      stampBatch(batch, { ...identity, baseSequence, transactional: true });
      return batch;
    };
    const options = { transactionalId: 'client', acks: -1, timeoutMs: 10_000 } as const;
    await client.addPartitionsToTxn('client', identity, [partition]);
    const [written] = await client.produce(
      leader,
      [{ ...partition, recordSet: batchOf('v', 0) }],
      options,
    );
    t.like(written, { errorCode: 0, baseOffset: 0 });
    const large = { ...partition, recordSet: batchOf('v'.repeat(2_000), 1) };
    const [refused] = await client.produce(leader, [large], options);
    t.is(refused?.errorCode, 10);
    const open = { topic: 'made', partition: 0, timestamp: LATEST };
    t.is(await client.listOffset(open, 'read_committed'), 0);
    t.is(await client.listOffset(open, 'read_uncommitted'), 1);
    await client.endTxn('client', identity, 'commit');
    const fetch = {
      topicId: topic?.topicId ?? '',
      partition: 0,
      fetchOffset: 0,
      bytesMax: 100_000,
    };
    const wait = { isolation: 'read_committed', maxWaitMs: 500, bytesMax: 100_000 } as const;
    const { partitions } = await client.fetch(leader, [fetch], wait);
    t.like(partitions[0], { errorCode: 0, lastStableOffset: 2, logStartOffset: 0 });
    t.true(partitions[0]?.recordSet.includes('k\x02v'));
    t.is(await client.listOffset({ ...open, timestamp: EARLIEST }, 'read_committed'), 0);

    await t.throwsAsync(client.topics(['absent']), {
      message: /^TOPIC_MISSING: .*topic "absent".*create the topic, or correct its name$/,
    });
    t.false((await kafka.admin.listTopics()).includes('absent'));
    await t.throwsAsync(client.initProducerId('client', 2 ** 30), {
      message: /INVALID_TRANSACTION_TIMEOUT.*transaction\.max\.timeout\.ms$/,
    });
  });

  test.serial('TLS and every way to log in; what is refused is said with its remedy', async (t) => {
    const kafka = await KafkaService.start({ version: '4', secured: true });
    t.teardown(() => kafka.stop());
    await kafka.createTopic('guarded');
    await kafka.deny('alice', 'TOPIC', 'guarded');
    await kafka.deny('alice', 'TRANSACTIONAL_ID', 'writer');
    await kafka.deny('alice', 'GROUP', 'watchers');
    const folder = await temporaryFolder(t);
    const secret = async (name: string, text: string): Promise<{ file: string }> => {
      const file = join(folder, name);
      await writeFile(file, `${text}\n`);
      return { file };
    };
    const { authority, certificate, key } = kafka.clientCertificates;
    const ca = await secret('ca.pem', authority);
    const password = await secret('password', KAFKA_USERS.alice);
    const token = await secret('token', unsecuredToken('alice'));
    const tls = { ca };
    const logins = [
      ...(['plain', 'scram-sha-256', 'scram-sha-512'] as const).map((mechanism) => {
        return { mechanism, username: 'alice', password };
      }),
      { mechanism: 'oauthbearer', token } as const,
    ];
    for (const sasl of logins) {
      const client = clientOf(t, { brokers: kafka.brokers('SASL_SSL'), tls, sasl });
      t.is((await client.metadata([])).brokers.length, 1, sasl.mechanism);
    }
    const own = {
      ca,
      certificate: await secret('cert', certificate),
      key: await secret('key', key),
    };
    const certified = clientOf(t, { brokers: kafka.brokers('SSL'), tls: own });
    t.is((await certified.metadata([])).brokers.length, 1);

    const [sasl] = logins;
    const alice = clientOf(t, { brokers: kafka.brokers('SASL_PLAINTEXT'), ...(sasl && { sasl }) });
    await t.throwsAsync(alice.topics(['guarded']), {
      message: /^ACCESS_DENIED: .*topic "guarded".*give the user an ACL for the topic$/,
    });
    await t.throwsAsync(alice.initProducerId('writer', 30_000), {
      message: /^ACCESS_DENIED: .*transactional id "writer".*give the user WRITE/,
    });
    await t.throwsAsync(alice.offsetFetch('watchers', []), {
      message: /^ACCESS_DENIED: .*group "watchers".*give the user an ACL for the group/,
    });
    const refused = (connection: KafkaConnectionOptions, message: RegExp): Promise<unknown> =>
      t.throwsAsync(clientOf(t, connection).metadata(), { message });
    const wrong = { mechanism: 'plain', username: 'alice', password: token } as const;
    const plainText = kafka.brokers('SASL_PLAINTEXT');
    await refused({ brokers: plainText, sasl: wrong }, /^ACCESS_DENIED: .*did not let the user in/);
    await refused({ brokers: plainText }, /whether it expects a login \(then set sasl\)/);
    await refused({ brokers: kafka.brokers('SSL') }, /whether it expects TLS/);
    await refused({ brokers: kafka.brokers('SSL'), tls: true }, /certificate .* is not trusted/);
    await refused({ brokers: plainText, tls: true }, /TLS/);
  });
}
