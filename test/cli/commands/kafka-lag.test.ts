/** Jobs on a real broker from the command line: what is told at submit, and how far they are behind. */
import test, { type ExecutionContext } from 'ava';
import { startEmbeddedCluster, type EmbeddedCluster } from '../../../cli/embedded-cluster.js';
import { systemClock } from '../../../process/system-clock.js';
import { kafkaAvailability } from '../../services/kafka-installation.js';
import { KafkaService } from '../../services/kafka.js';
import { temporaryFolder } from '../../temporary-folder.js';
import { runMillrace, type CommandResult } from '../command-line.js';

const found = kafkaAvailability();
if (found.available) testLag(await KafkaService.start());
else test.skip(`millrace kafka lag did not run: ${found.reason}`, (t) => t.pass());

interface Lag {
  readonly sources: readonly {
    readonly source: string;
    readonly group: string | null;
    readonly partitions: readonly {
      readonly topic: string;
      readonly partition: number;
      readonly position: number | null;
      readonly end: number;
      readonly lag: number | null;
    }[];
    readonly lag: number | null;
  }[];
}

const PRODUCER = 'jobs/transactions-to-kafka/job.ts';
const FRAUD = 'jobs/fraud-detection/job.ts';
const TABLE = 'test/fixtures/jobs/kafka-table/job.ts';
const TOPICS = ['transactions', 'fraud-alerts', 'fraud-late', 'fraud-dead-letters'];

function testLag(kafka: KafkaService): void {
  test.after.always(() => kafka.stop());
  const brokers = kafka.bootstrapServers;

  async function start(t: ExecutionContext): Promise<EmbeddedCluster> {
    const dataDir = await temporaryFolder(t);
    const options = { workers: 1, slots: 2, dataDir, clock: systemClock };
    const cluster = await startEmbeddedCluster(options);
    t.teardown(() => cluster.close());
    return cluster;
  }

  function submit(
    cluster: EmbeddedCluster,
    job: string,
    params: Readonly<Record<string, string>>,
    ...flags: readonly string[]
  ): Promise<CommandResult> {
    const given = Object.entries(params).flatMap(([name, value]) => [
      '--param',
      `${name}=${value}`,
    ]);
    return runMillrace(['submit', job, ...given, '--cluster', cluster.rest, ...flags]);
  }

  const ask = (
    cluster: EmbeddedCluster,
    job: string,
    ...flags: readonly string[]
  ): Promise<CommandResult> =>
    runMillrace(['kafka', 'lag', job, '--cluster', cluster.rest, ...flags]);

  /** The job's Kafka source, once it is behind no more. */
  async function caughtUp(
    t: ExecutionContext,
    cluster: EmbeddedCluster,
    job: string,
  ): Promise<Lag['sources'][number]> {
    for (;;) {
      const { exitCode, stdout, stderr } = await ask(cluster, job, '--json');
      t.is(exitCode, 0, stderr);
      const [source] = (JSON.parse(stdout) as Lag).sources;
      if (source?.lag === 0) return source;
    }
  }

  test.serial('a wrong port and a topic that is not there are told at submit', async (t) => {
    const cluster = await start(t);
    const nobody = await submit(cluster, PRODUCER, { brokers: '127.0.0.1:1' });
    t.is(nobody.exitCode, 1);
    t.regex(
      nobody.stderr,
      /BROKER_UNREACHABLE: operator "produce".* broker 127\.0\.0\.1:1.*--no-check/,
    );
    const topicless = await submit(cluster, FRAUD, { source: 'kafka', brokers, topic: 'nowhere' });
    t.is(topicless.exitCode, 1);
    t.regex(topicless.stderr, /TOPIC_MISSING: operator "transactions".*topic "nowhere"/);
    t.true(topicless.stderr.includes(brokers));
    const unchecked = { brokers: '127.0.0.1:1' };
    const accepted = await submit(cluster, PRODUCER, unchecked, '--no-check', '--detached');
    t.is(accepted.exitCode, 0, accepted.stderr);
    const lag = await ask(cluster, 'transactions-to-kafka');
    t.is(lag.exitCode, 1);
    t.regex(lag.stderr, /job transactions-to-kafka has no Kafka source/);
  });

  test.serial('a source without a group is behind by what it says', async (t) => {
    const cluster = await start(t);
    const topics = { accounts: 'accounts', standings: 'standings' };
    for (const topic of Object.values(topics)) {
      await kafka.createTopic(topic, 1, { 'cleanup.policy': 'compact' });
    }
    const reading = await submit(cluster, TABLE, { brokers, ...topics }, '--detached');
    t.is(reading.exitCode, 0, reading.stderr);
    const lag = await caughtUp(t, cluster, 'kafka-table');
    t.like(lag, { source: 'accounts', group: null });
    t.is(lag.partitions[0]?.position, null);
    t.regex(
      (await ask(cluster, 'kafka-table')).stdout,
      /accounts: 0 behind, as it says; give it a groupId/,
    );
  });

  test.serial('a job shows how far it is behind, until it is not', async (t) => {
    const cluster = await start(t);
    for (const topic of [...TOPICS, 'fraud-revenue-per-minute']) {
      await kafka.createTopic(topic, 2, { 'retention.ms': '-1' });
    }
    const produced = await submit(cluster, PRODUCER, { brokers, transactions: '2000' });
    t.is(produced.exitCode, 0, produced.stderr);
    const reading = await submit(cluster, FRAUD, { source: 'kafka', brokers }, '--detached');
    t.is(reading.exitCode, 0, reading.stderr);

    const lag = await caughtUp(t, cluster, 'fraud-detection');
    t.like(lag, { source: 'transactions', group: 'fraud-detection' });
    t.deepEqual(
      lag.partitions.map(({ topic, partition }) => `${topic}-${partition}`),
      ['transactions-0', 'transactions-1'],
    );
    t.true(lag.partitions.reduce((sum, { end }) => sum + end, 0) >= 2_000);
    const table = await ask(cluster, 'fraud-detection');
    t.regex(table.stdout, /SOURCE +TOPIC +PARTITION +POSITION +END +LAG/);
    t.regex(table.stdout, /transactions: 0 behind/);

    await kafka.kill();
    const alone = await ask(cluster, 'fraud-detection');
    t.is(alone.exitCode, 1);
    t.regex(alone.stderr, /BROKER_UNREACHABLE: .*127\.0\.0\.1:/);
  });
}
