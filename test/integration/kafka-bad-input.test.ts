/**
 * Jobs of real processes on a real broker and a real registry that are given what they can't use: records that
 * are none, and logins that are none. Each is one message at the command line, or the dead letters' business.
 */
import { fileURLToPath } from 'node:url';
import test, { type ExecutionContext } from 'ava';
import { t as types } from '../../api/schema.js';
import { avro } from '../../connectors/formats/index.js';
import { assertToldOnce, runMillrace, type CommandResult } from '../cli/command-line.js';
import { encodeOne } from '../connectors/formats/format-bytes.js';
import { TopicWriter } from '../connectors/kafka/kafka-topic.js';
import { ApicurioService, apicurioAvailability } from '../services/apicurio.js';
import { kafkaAvailability } from '../services/kafka-installation.js';
import { readTopics } from '../services/kafka-topic-reader.js';
import { KafkaService } from '../services/kafka.js';
import { GATE_SECRETS, RegistryGate } from '../services/registry-gate.js';
import { temporaryFolder } from '../temporary-folder.js';
import { TestCluster } from './test-cluster.js';

const FRAUD = 'jobs/fraud-detection/job.ts';
/** Sources are beside the compiled output: dist/test/integration -> test/fixtures. */
const ORDERS = fileURLToPath(
  new URL('../../../test/fixtures/jobs/kafka-orders/job.ts', import.meta.url),
);
type Params = Readonly<Record<string, string>>;

const AVRO = { type: 'record', name: 'Order', fields: [{ name: 'id', type: 'string' }] };

const found = kafkaAvailability();
const registryFound = apicurioAvailability();
if (!found.available) {
  test.skip(`bad input from Kafka did not run: ${found.reason}`, (t) => t.pass());
} else if (!registryFound.available) {
  test.skip(`bad input from Kafka did not run: ${registryFound.reason}`, (t) => t.pass());
} else {
  testBadInput(
    await Promise.all([
      KafkaService.start(),
      ApicurioService.start(),
      TestCluster.open({ workers: 1, slots: 2 }),
    ]),
  );
}

function transaction(id: string, at: number): string {
  return JSON.stringify({
    transaction_id: id,
    user_id: 'alice',
    product_id: 'hat',
    price: 20,
    timestamp: at,
    payment_method: 'card',
    geolocation: { lat: 51.5, lon: 0 },
  });
}

function testBadInput([kafka, registry, cluster]: [
  KafkaService,
  ApicurioService,
  TestCluster,
]): void {
  test.after.always(() => Promise.all([cluster.close(), registry.stop(), kafka.stop()]));
  const brokers = kafka.bootstrapServers;

  const write = async (topic: string, values: readonly (string | Buffer)[]): Promise<void> => {
    const writer = await TopicWriter.connect(kafka.brokers());
    const messages = values.map((value) => ({ value }));
    await writer.write(topic, messages).finally(() => writer.close());
  };
  const submit = (
    file: string,
    params: Params,
    ...flags: readonly string[]
  ): Promise<CommandResult> => runMillrace(cluster.submitCommand({ file, params, flags }));

  test.serial('what is no record goes to the dead letters, and the job goes on', async (t) => {
    const outputs = ['alerts', 'late', 'dead-letters', 'revenue-per-minute'];
    for (const topic of ['transactions', ...outputs.map((name) => `fraud-${name}`)]) {
      await kafka.createTopic(topic, 1);
    }
    const poison = '{"transaction_id":"b","price":"twenty"';
    await write('transactions', [transaction('a', 1_000), poison, transaction('c', 2_000)]);
    const params = { source: 'kafka', brokers, bounded: 'true' };
    const { exitCode, stderr } = await submit(FRAUD, params);
    t.is(exitCode, 0, stderr);
    const written = await readTopics(kafka, ['fraud-dead-letters', 'fraud-revenue-per-minute']);
    const valuesOf = (topic: string): readonly Readonly<Record<string, unknown>>[] =>
      written
        .filter((record) => record.topic === topic)
        .map(({ value }) => JSON.parse(String(value)) as Readonly<Record<string, unknown>>);
    const [letter, ...others] = valuesOf('fraud-dead-letters');
    t.deepEqual(others, []);
    t.like(letter, { origin: 'transactions-0', position: 1, raw: poison });
    t.regex(String(letter?.['reason']), /^not JSON: /);
    t.like(valuesOf('fraud-revenue-per-minute')[0], { transactions: 2, revenue_cents: 4_000 });
  });

  /** What the job of orders is to know of a gate before the registry, and of a topic with one order. */
  const gated = async (
    t: ExecutionContext,
    input: string,
  ): Promise<{ readonly gate: RegistryGate; readonly params: Params; readonly bytes: Buffer }> => {
    const gate = await RegistryGate.start(registry.url, await temporaryFolder(t));
    t.teardown(() => gate.stop());
    const output = `${input}-copied`;
    await Promise.all([kafka.createTopic(input, 1), kafka.createTopic(output, 1)]);
    const order = avro({
      avroSchema: AVRO,
      schema: types.record({ id: types.string }),
      registry: { url: registry.url },
    });
    const context = { subject: input, topic: input, part: 'value' } as const;
    const bytes = Buffer.from(await encodeOne(order, { id: 'hat' }, context));
    await write(input, [bytes]);
    const { authority: ca, password, token } = gate.files;
    const { username } = GATE_SECRETS;
    const login = { registry: gate.url, ca, username, password, token };
    return { gate, params: { brokers, input, output, ...login }, bytes };
  };

  test.serial('a registry lets who submits and who runs in, or tells both why not', async (t) => {
    const { gate, params, bytes } = await gated(t, 'orders');
    const wrong = { ...params, password: gate.files.token };
    for (const [flags, message] of [
      [
        [],
        /^error: ACCESS_DENIED: operator "orders" .* asked for subject orders-value, answered 401: the login is not let in; correct registry\.auth$/,
      ],
      [
        ['--no-check'],
        /^failure: ACCESS_DENIED: .* asked for schema \d+, answered 401: the login is not let in; correct registry\.auth$/,
      ],
    ] as const) {
      const result = await submit(ORDERS, wrong, ...flags);
      assertToldOnce(t, result, message);
      t.true(result.stderr.includes(gate.url));
      t.notRegex(result.stderr, /gate-/);
    }
    gate.requests.length = 0;
    const { exitCode, stderr } = await submit(ORDERS, params);
    t.is(exitCode, 0, stderr);
    const [copied] = await readTopics(kafka, ['orders-copied']);
    t.deepEqual(copied?.value, bytes);
    const asked = gate.requests.map(({ method, path, scheme }) => {
      const [, place = ''] = /\/v7\/(\w+\/\w+)/.exec(path) ?? [];
      return `${scheme} ${method} ${place}`;
    });
    t.deepEqual([...new Set(asked)].sort(), [
      'Basic GET schemas/ids',
      'Basic GET subjects/orders',
      'Bearer POST compatibility/subjects',
      'Bearer POST subjects/orders',
    ]);
  });

  test.serial('a schema that the registry refuses is told at submit, or by the task', async (t) => {
    const { params } = await gated(t, 'refused');
    // By the registry's rule a newer order would need what the registry has without it.
    const ask = async (method: 'POST' | 'PUT', path: string, body: object): Promise<void> => {
      const headers = { 'content-type': 'application/json' };
      const answer = await fetch(`${registry.url}${path}`, {
        method,
        headers,
        body: JSON.stringify(body),
      });
      t.true(answer.ok, await answer.text());
    };
    const schema = JSON.stringify({ ...AVRO, fields: [{ name: 'number', type: 'int' }] });
    await ask('POST', '/subjects/refused-copied-value/versions', { schema });
    await ask('PUT', '/config/refused-copied-value', { compatibility: 'BACKWARD' });
    for (const [flags, message] of [
      [
        [],
        /^error: SCHEMA_INCOMPATIBLE: operator "to-kafka" .* with version 1 of subject refused-copied-value at http.*change the schema, or the subject's rule$/,
      ],
      [
        ['--no-check'],
        /^failure: SCHEMA_INCOMPATIBLE: .* of subject refused-copied-value at http.*\n {4}in operator "to-kafka"$/,
      ],
    ] as const) {
      assertToldOnce(t, await submit(ORDERS, params, ...flags), message);
    }
  });

  test.serial('a job whose topic one of its name writes to already is refused', async (t) => {
    const { params } = await gated(t, 'twice');
    const first = await submit(ORDERS, { ...params, until: 'canceled' }, '--detached');
    t.is(first.exitCode, 0, first.stderr);
    assertToldOnce(
      t,
      await submit(ORDERS, params),
      /^error: OUTPUT_CONFLICT: job "kafka-orders" runs already, as \w+, and both would write to topic "twice-copied" \(Kafka at .*\) \(operator ".*"\); cancel or stop that one first, or give this one another name$/,
    );
    const canceled = await runMillrace([
      'cancel',
      'kafka-orders',
      '--cluster',
      cluster.cluster.rest,
    ]);
    t.is(canceled.exitCode, 0, canceled.stderr);
    // Once that one has ended, the topic is nobody's.
    const next = await submit(ORDERS, params);
    t.is(next.exitCode, 0, next.stderr);
  });

  test.serial(
    'a wrong protocol, and what is no record without dead letters, are told once',
    async (t) => {
      const { params } = await gated(t, 'unframed');
      const plain = registry.url.replace('http', 'https');
      assertToldOnce(
        t,
        await submit(ORDERS, { ...params, registry: plain }),
        /^error: REGISTRY_UNREACHABLE: .*subject unframed-value, does not speak TLS on this port .*http:\/\/; if only the workers reach it: --no-check$/,
      );
      await write('unframed', ['no frame']);
      assertToldOnce(
        t,
        await submit(ORDERS, params),
        /^failure: INPUT_INVALID: topic "unframed" partition 0 holds no record at offset 1 \(.*this one with 6e6f206672\), it begins with "no frame"; .*\.deadLetters a sink/,
      );
    },
  );
}
