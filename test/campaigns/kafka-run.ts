/**
 * One run of the ledger job from Kafka to Kafka under faults, on a cluster of real processes. A fault
 * strikes once the output has come further, and the next one only after rows of deposits that were
 * written after it are committed: that is what recovery means here.
 */
import { mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import type { KafkaTransaction } from '../../connectors/kafka/index.js';
import type { ClusterProcess } from '../../cli/cluster-process.js';
import { systemClock } from '../../process/system-clock.js';
import { runMillrace } from '../cli/command-line.js';
import { eventually } from '../integration/eventually.js';
import { JobWatch } from '../integration/job-watch.js';
import type { TestCluster } from '../integration/test-cluster.js';
import { readTopics, type TopicRecord } from '../services/kafka-topic-reader.js';
import type { KafkaService } from '../services/kafka.js';
import type { SeededRandom } from '../simulation/event-loop.js';
import { FENCE_EDGES, type Edge, type Fault, type FaultKind } from './kafka-faults.js';
import { INPUT_PARTITIONS, judge, KafkaLedger } from './kafka-ledger.js';
import { KafkaOutputWatch } from './kafka-output-watch.js';

/** Sources are beside the compiled output: dist/test/campaigns -> test/fixtures. */
const LEDGER_JOB = fileURLToPath(
  new URL('../../../test/fixtures/jobs/kafka-ledger/job.ts', import.meta.url),
);
const CLIENT_MODULE = new URL('../../connectors/kafka/kafka-client.js', import.meta.url).href;

const COMMIT_TIMEOUT_MS = 5_000;
/** Of transactions that have to outlive whatever happens, beyond an outage. */
const EPOCH_TIMEOUT_MS = 60_000;
const OUTPUT_PARTITIONS = 2;
/** Deposits between two faults, at most. */
const PROGRESS_MAX = 250;

export interface KafkaRunOptions {
  readonly kafka: KafkaService;
  readonly brokers: number;
  readonly outageMs: number;
  readonly cluster: TestCluster;
  /** Of the job and its topics. */
  readonly name: string;
  readonly delivery: 'exactlyOnce' | 'atLeastOnce';
  readonly transaction: KafkaTransaction;
  readonly faults: readonly Fault[];
  readonly random: SeededRandom;
  readonly tell: (line: string) => void;
}

export interface KafkaRunResult {
  /** Processes killed or stopped. */
  readonly kills: number;
  readonly faultsByKind: Readonly<Partial<Record<FaultKind, number>>>;
  /** Deposits that were acknowledged. */
  readonly records: number;
  readonly lost: number;
  readonly duplicated: number;
  /** From each fault to the first committed row of a deposit written after it, ms. */
  readonly recoveriesMs: readonly number[];
}

interface Topics {
  readonly input: string;
  readonly entries: string;
  readonly totals: string;
}

/** A worker that waits at an edge. */
interface Held {
  readonly pid: number;
  readonly release: () => Promise<void>;
}

/** @throws Error with what was waited for in vain, and how the job is */
export async function runUnderFaults(options: KafkaRunOptions): Promise<KafkaRunResult> {
  const { kafka, cluster, name } = options;
  const topics = { input: `${name}-in`, entries: `${name}-entries`, totals: `${name}-totals` };
  const edges = path.join(cluster.folder, `${name}-edges`);
  await mkdir(edges);
  await kafka.createTopic(topics.input, INPUT_PARTITIONS);
  await kafka.createTopic(topics.entries, OUTPUT_PARTITIONS);
  await kafka.createTopic(topics.totals, OUTPUT_PARTITIONS);
  const output = new KafkaOutputWatch(kafka.brokers(), [topics.entries, topics.totals]);
  const ledger = await KafkaLedger.open(kafka.brokers(), topics.input);
  try {
    ledger.resume();
    const watch = new JobWatch(cluster.client, await submit(options, topics, edges));
    const run = new KafkaRun(options, { topics, edges, output, ledger, watch });
    for (const fault of options.faults) await run.strike(fault);
    return await run.finish();
  } finally {
    await ledger.close();
    await output.close();
  }
}

async function submit(
  { kafka, cluster, delivery, transaction, outageMs }: KafkaRunOptions,
  topics: Topics,
  edges: string,
): Promise<string> {
  const timeoutMs = transaction === 'streaming' ? EPOCH_TIMEOUT_MS + outageMs : COMMIT_TIMEOUT_MS;
  const command = await runMillrace([
    ...cluster.submitCommand({
      file: LEDGER_JOB,
      parallelism: 2,
      params: {
        ...topics,
        brokers: kafka.bootstrapServers,
        delivery,
        transaction,
        transactionTimeoutMs: String(timeoutMs),
        edges,
        client: CLIENT_MODULE,
      },
    }),
    ...['--detached', '--json'],
  ]);
  if (command.exitCode !== 0) throw new Error(`the job was not accepted: ${command.stderr}`);
  return (JSON.parse(command.stdout) as { readonly jobId: string }).jobId;
}

interface RunParts {
  readonly topics: Topics;
  readonly edges: string;
  readonly output: KafkaOutputWatch;
  readonly ledger: KafkaLedger;
  readonly watch: JobWatch;
}

class KafkaRun {
  readonly #faultsByKind: Partial<Record<FaultKind, number>> = {};
  readonly #recoveriesMs: number[] = [];

  constructor(
    private readonly options: KafkaRunOptions,
    private readonly parts: RunParts,
  ) {}

  async strike(fault: Fault): Promise<void> {
    const { random, tell } = this.options;
    const { ledger } = this.parts;
    await this.#committed(ledger.next + random.whole(0, PROGRESS_MAX), 'more output');
    const held = fault.edge === undefined ? undefined : await this.#reach(fault.edge);
    const recoveryMs = await this.#faults[fault.kind](held);
    this.#recoveriesMs.push(recoveryMs);
    this.#count(fault.kind);
    tell(`${fault.kind} ${fault.edge ?? 'at any time'}: output again after ${recoveryMs} ms`);
  }

  /** Ends the input and the job, and compares what is in the topics with what has to be there. */
  async finish(): Promise<KafkaRunResult> {
    const { kafka, cluster, tell } = this.options;
    const { topics, ledger, output, watch } = this.parts;
    await ledger.end();
    const expected = ledger.expected();
    const isComplete = await output.until(
      () =>
        output.rows(topics.entries) >= expected.entries.size &&
        output.rows(topics.totals) >= expected.totals.size,
    );
    // What is missing is for the judge to say.
    if (!isComplete) tell(`the output does not become complete; ${await this.#job()}`);
    await cluster.client.stopWithSavepoint(watch.jobId);
    await watch.ended();
    const records = await readTopics(kafka, [topics.input, topics.entries, topics.totals]);
    const of = (topic: string): readonly TopicRecord[] =>
      records.filter((record) => record.topic === topic);
    ledger.checkInput(of(topics.input).map(valueOf));
    const entries = judge(expected.entries, of(topics.entries).map(valueOf));
    const totals = judge(expected.totals, of(topics.totals).map(valueOf));
    return {
      kills: Object.values(this.#faultsByKind).reduce((sum, count) => sum + count, 0),
      faultsByKind: this.#faultsByKind,
      records: ledger.records,
      lost: entries.lost + totals.lost,
      duplicated: entries.duplicated + totals.duplicated,
      recoveriesMs: this.#recoveriesMs,
    };
  }

  readonly #faults: Readonly<Record<FaultKind, (held?: Held) => Promise<number>>> = {
    worker: async (held) => {
      const worker = await this.#victim(held);
      return this.#recovery(async () => {
        worker.kill('SIGKILL');
        await worker.ended;
        await held?.release();
        await this.options.cluster.cluster.addWorker();
      });
    },
    coordinator: async (held) => {
      const { cluster } = this.options.cluster;
      return this.#recovery(async () => {
        await cluster.killCoordinator();
        await held?.release();
        await cluster.restartCoordinator();
      });
    },
    broker: (held) => {
      const { brokers, random } = this.options;
      return this.#withoutBrokers([random.whole(0, brokers - 1)], 0, held);
    },
    outage: (held) => {
      const { brokers, outageMs } = this.options;
      return this.#withoutBrokers([...Array(brokers).keys()], outageMs, held);
    },
    zombie: async (held) => {
      const { client } = this.options.cluster;
      const zombie = await this.#victim(held);
      const recoveryMs = await this.#recovery(() => {
        zombie.kill('SIGSTOP');
        return Promise.resolve();
      });
      await held?.release();
      zombie.kill('SIGCONT');
      await eventually(
        () => 'the return of the stopped worker',
        async () =>
          (await client.workers()).workers.some(({ workerId }) => workerId === zombie.id) ||
          undefined,
      );
      return recoveryMs;
    },
  };

  async #withoutBrokers(
    indexes: readonly number[],
    outageMs: number,
    held?: Held,
  ): Promise<number> {
    const { kafka } = this.options;
    const { ledger } = this.parts;
    await ledger.pause();
    return this.#recovery(async () => {
      await Promise.all(indexes.map((index) => kafka.kill(index)));
      await held?.release();
      // How long they are away is the fault itself.
      await new Promise<void>((resolve) => systemClock.setTimer(outageMs, resolve));
      await Promise.all(indexes.map((index) => kafka.restart(index)));
      ledger.resume();
    });
  }

  /** From the moment of the fault to the first committed row of a deposit written after it, ms. */
  async #recovery(fault: () => Promise<void>): Promise<number> {
    const since = systemClock.monotonic();
    const { next } = this.parts.ledger;
    const [recoveredAt] = await Promise.all([
      this.#committed(next, 'output after the fault'),
      fault(),
    ]);
    return Math.round(recoveredAt - since);
  }

  /** Resolves with the time once an entry of this deposit, or a later one, is committed. */
  async #committed(at: number, what: string): Promise<number> {
    const { output, topics, ledger } = this.parts;
    if (!(await output.until(() => output.furthest(topics.entries) >= at))) {
      ledger.check();
      const furthest = output.furthest(topics.entries);
      throw new Error(
        `waited in vain for ${what}: deposit ${at}, only ${furthest} is there, ` +
          `${ledger.next} are written; ${await this.#job()}`,
      );
    }
    return systemClock.monotonic();
  }

  /** Has a worker wait at the edge. */
  async #reach(edge: Edge): Promise<Held> {
    const { edges } = this.parts;
    await writeFile(path.join(edges, edge), '');
    if (FENCE_EDGES.includes(edge)) {
      const worker = await this.#busyWorker();
      worker.kill('SIGKILL');
      await worker.ended;
      this.#count('worker');
      await this.options.cluster.cluster.addWorker();
    }
    const file = await eventually(
      () => `a worker at the edge ${edge}`,
      async () => (await readdir(edges)).find((name) => name.startsWith(`${edge}.`)),
    );
    return {
      pid: Number(file.slice(edge.length + 1)),
      release: () => rm(path.join(edges, file)),
    };
  }

  async #victim(held?: Held): Promise<ClusterProcess> {
    const { workers } = this.options.cluster.cluster;
    return workers.find(({ pid }) => pid === held?.pid) ?? this.#busyWorker();
  }

  /** One that runs tasks of the job. */
  async #busyWorker(): Promise<ClusterProcess> {
    const { cluster, random } = this.options;
    let busy: readonly ClusterProcess[] = [];
    await this.parts.watch.until('a worker with tasks of the job', ({ job }) => {
      const subtasks = job.vertices.flatMap((vertex) => vertex.subtasks);
      busy = cluster.cluster.workers.filter(({ id }) =>
        subtasks.some(({ workerId }) => workerId === id),
      );
      return busy.length > 0;
    });
    return random.pick(busy);
  }

  #count(kind: FaultKind): void {
    this.#faultsByKind[kind] = (this.#faultsByKind[kind] ?? 0) + 1;
  }

  async #job(): Promise<string> {
    const { job } = await this.parts.watch.until('word of the job', () => true);
    const { status, attempt, failures } = job;
    return `the job is ${JSON.stringify({ status, attempt, failure: failures.at(-1) })}`;
  }
}

function valueOf({ value }: TopicRecord): string {
  return String(value);
}
