/**
 * A job of real processes from one table in Kafka to another: whatever is killed, the table that it keeps
 * is that of its input, and each row has been changed as often as its account.
 */
import { fileURLToPath } from 'node:url';
import test from 'ava';
import { t as types } from '../../api/schema.js';
import { json } from '../../connectors/formats/json.js';
import { upsertKafkaSource, type Change } from '../../connectors/kafka/index.js';
import { runMillrace } from '../cli/command-line.js';
import { readAll } from '../connectors/kafka/kafka-reading.js';
import { TopicWriter } from '../connectors/kafka/kafka-topic.js';
import { kafkaAvailability } from '../services/kafka-installation.js';
import { readTopics } from '../services/kafka-topic-reader.js';
import { KafkaService } from '../services/kafka.js';
import { eventually } from './eventually.js';
import { JobWatch } from './job-watch.js';
import { randomOf, SEED } from './seed.js';
import { TestCluster } from './test-cluster.js';

/** Sources are beside the compiled output: dist/test/integration -> test/fixtures. */
const TABLE_JOB = fileURLToPath(
  new URL('../../../test/fixtures/jobs/kafka-table/job.ts', import.meta.url),
);
const ACCOUNTS = 40;
const CHANGES = 1_000;

const Standing = types.record({ balance: types.int32, highest: types.int32, changes: types.int32 });
type Standing = types.infer<typeof Standing>;

/** The rows that these changes leave, by key. */
function lastOf(
  changes: readonly Change<string, Standing>[],
): readonly (readonly [string, Standing])[] {
  const table = new Map<string, Standing>();
  for (const change of changes) {
    if (change.op === 'upsert') table.set(change.key, change.value);
    else table.delete(change.key);
  }
  return [...table].sort();
}

/** Changes of random accounts, and what they make of the table. */
class Accounts {
  readonly #random = randomOf('accounts');
  readonly #standings = new Map<string, Standing>();

  /** As messages for the topic. */
  next(count: number): { readonly key: string; readonly value: string | null }[] {
    return Array.from({ length: count }, () => {
      const account = `account ${this.#random.whole(1, ACCOUNTS)}`;
      const key = JSON.stringify(account);
      if (this.#random.whole(1, 20) === 1) {
        this.#standings.delete(account);
        return { key, value: null };
      }
      const balance = this.#random.whole(-1_000, 1_000);
      const { highest = balance, changes = 0 } = this.#standings.get(account) ?? {};
      this.#standings.set(account, {
        balance,
        highest: Math.max(highest, balance),
        changes: changes + 1,
      });
      return { key, value: JSON.stringify({ balance }) };
    });
  }

  get table(): readonly (readonly [string, Standing])[] {
    return [...this.#standings].sort();
  }
}

/** Metrics of connectors on the pages of all workers, added up: `NAME OPERATOR` -> value. */
async function figuresOf(cluster: TestCluster, jobId: string): Promise<Record<string, number>> {
  const figures: Record<string, number> = {};
  for (const { httpAddress } of (await cluster.client.workers()).workers) {
    const page = await (await fetch(`http://${httpAddress}/metrics`)).text();
    const line = /^millrace_operator_(\w+)\{job="([^"]+)",operator="([^"]+)",[^}]*\} (.+)$/gm;
    for (const [, name, job, operator, value] of page.matchAll(line)) {
      if (job !== jobId) continue;
      const key = `${name} ${operator}`;
      figures[key] = (figures[key] ?? 0) + Number(value);
    }
  }
  return figures;
}

const found = kafkaAvailability();
if (found.available) testTables(await KafkaService.start());
else test.skip(`tables from Kafka to Kafka did not run: ${found.reason}`, (t) => t.pass());

function testTables(kafka: KafkaService): void {
  test.after.always(() => kafka.stop());

  test(`a table of a table outlives the kill of a worker (MILLRACE_SEED=${SEED})`, async (t) => {
    const compacted = { 'cleanup.policy': 'compact' };
    const topics = { accounts: 'accounts', standings: 'standings' };
    await kafka.createTopic(topics.accounts, 3, compacted);
    await kafka.createTopic(topics.standings, 2, compacted);
    const writer = await TopicWriter.connect(kafka.brokers());
    t.teardown(() => writer.close());
    const cluster = await TestCluster.start(t, { workers: 3, slots: 1 });
    const accounts = new Accounts();
    await writer.write(topics.accounts, accounts.next(CHANGES));
    const jobId = await cluster.submit(t, {
      file: TABLE_JOB,
      parallelism: 2,
      params: { ...topics, brokers: kafka.bootstrapServers },
    });
    const watch = new JobWatch(cluster.client, jobId);
    const { job: first } = await watch.until(
      'a checkpoint',
      (seen) => seen.checkpoints.latestCompleted !== null && seen.recordsRead > 0,
    );
    await writer.write(topics.accounts, accounts.next(CHANGES));
    const busy = new Set(
      first.vertices.flatMap(({ subtasks }) => subtasks.map(({ workerId }) => workerId)),
    );
    const victim = cluster.cluster.workers.find(({ id }) => busy.has(id ?? ''));
    victim?.kill('SIGKILL');
    await victim?.ended;
    await watch.until('the attempt after the kill', ({ job }) => job.attempt > first.attempt);
    await writer.write(topics.accounts, accounts.next(CHANGES));
    const expected = accounts.table;
    const standings = upsertKafkaSource({
      connection: { brokers: kafka.brokers() },
      topics: topics.standings,
      key: json(types.string),
      value: json(Standing),
      boundedAt: 'latest',
    });
    const balances = JSON.stringify(expected.map(([, { balance }]) => balance));
    await eventually(
      () => `the balances ${balances}`,
      async () => {
        const last = lastOf(await readAll(standings));
        return JSON.stringify(last.map(([, { balance }]) => balance)) === balances || undefined;
      },
    );
    t.deepEqual(lastOf(await readAll(standings)), expected);
    const judged = (await readTopics(kafka, [topics.standings])).map(
      ({ key, value }): Change<string, Standing> => {
        const of = JSON.parse(String(key)) as string;
        if (value === null) return { op: 'delete', key: of };
        return { op: 'upsert', key: of, value: JSON.parse(String(value)) as Standing };
      },
    );
    t.deepEqual(lastOf(judged), expected);
    const named = [
      'bytes_in_total accounts',
      'records_sent_total standings',
      'bytes_sent_total standings',
      'transactions_committed_total standings',
      'commit_seconds_count standings',
      'commit_seconds_sum standings',
    ];
    let figures: Record<string, number> = {};
    await eventually(
      () => `metrics of a source that has read all: ${JSON.stringify(figures)}`,
      async () => {
        figures = await figuresOf(cluster, jobId);
        const isRead = figures['pending_records accounts'] === 0;
        return (isRead && named.every((name) => (figures[name] ?? 0) > 0)) || undefined;
      },
    );
    t.is(figures['records_lag_max accounts'], 0);
    await watch.until('the same by REST', ({ job: { vertices } }) => {
      const operators = vertices.flatMap((vertex) => vertex.operators);
      const metrics = operators.map((operator) => operator.metrics);
      return (
        metrics.some((values) => values['pending_records'] === 0) &&
        metrics.some((values) => values['transactions_committed'] !== undefined)
      );
    });
    const shown = await runMillrace(['job', jobId, '--cluster', cluster.cluster.rest]);
    t.regex(shown.stdout, /^connectors\naccounts: .*pending_records 0/m);
    t.true((await watch.until('its restarts', () => true)).job.restarts > 0);
  });
}
