/**
 * The demo from Kafka to Kafka: a job fills the input topic, the fraud detection job reads and writes
 * topics, and what stands there in the end is read by Kafka's own consumer and checked by the job's
 * own command. The topics are the run's own; those on somebody else's broker stay there.
 */
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { KafkaClient } from '../../connectors/kafka/kafka-client.js';
import type { Clock } from '../../core/clock.js';
import { AlertTopicTail } from './alert-topic-tail.js';
import { checkTopicReader, DemoBroker, readTopics } from './demo-broker.js';
import type { DemoWorkload, FraudOutcome, RunJob } from './demo-workload.js';
import { FRAUD_JOB_FILE, jobFile, outcomeOf, runFraudCommand } from './fraud-command.js';

export interface KafkaFraudOptions {
  /** HOST:PORT of a broker that runs; undefined: one is started. */
  readonly broker: string | undefined;
  /** Absolute; what is read of the topics is written below it. */
  readonly folder: string;
  readonly transactions: number;
  readonly clock: Clock;
  readonly interrupted: AbortSignal;
}

const PRODUCER_FILE = jobFile('transactions-to-kafka');
const OUTPUTS = ['alerts', 'late', 'dead-letters', 'revenue-per-minute'];
const PARTITIONS = 4;
const SEED = 1;
/** Of a broker that runs, or else is not there. */
const PATIENCE_MS = 3_000;

export class KafkaFraudWorkload implements DemoWorkload {
  readonly jobFile = FRAUD_JOB_FILE;
  readonly flags: string;
  readonly lasts: boolean;
  readonly alerts: AlertTopicTail;
  readonly broker: string;
  readonly #options: KafkaFraudOptions;
  readonly #own: DemoBroker | undefined;
  readonly #prefix: string;

  private constructor(options: KafkaFraudOptions, broker: string, own: DemoBroker | undefined) {
    this.#options = options;
    this.#own = own;
    this.broker = broker;
    this.flags = options.broker === undefined ? '--kafka ' : `--kafka ${options.broker} `;
    this.lasts = own === undefined;
    this.#prefix = `millrace-demo-${options.clock.now().toString(36)}-`;
    this.alerts = new AlertTopicTail(broker, `${this.#prefix}alerts`, options.clock);
  }

  /** @throws MillraceError BROKER_UNREACHABLE saying what a broker or its reader lacks here */
  static async start(options: KafkaFraudOptions): Promise<KafkaFraudWorkload> {
    const { broker, folder, interrupted } = options;
    await mkdir(folder, { recursive: true });
    await checkTopicReader(interrupted);
    if (broker !== undefined) return new KafkaFraudWorkload(options, broker, undefined);
    const own = await DemoBroker.start(interrupted);
    return new KafkaFraudWorkload(options, own.bootstrapServers, own);
  }

  get params(): Readonly<Record<string, string>> {
    return {
      source: 'kafka',
      brokers: this.broker,
      topic: this.#input,
      outputTopics: this.#prefix,
      bounded: 'true',
    };
  }

  async prepare(runJob: RunJob, say: (text: string) => void): Promise<void> {
    const { clock, transactions } = this.#options;
    const connection = { brokers: [this.broker] };
    const client = new KafkaClient({ connection, clock, patienceMs: PATIENCE_MS });
    try {
      await client.createTopics(
        [this.#input, ...this.#outputs].map((topic) => ({
          topic,
          partitions: PARTITIONS,
          replicationFactor: -1,
          // The made-up day lies long ago, and retention goes by the time of the records.
          config: { 'retention.ms': '-1' },
        })),
      );
    } finally {
      client.close();
    }
    say(
      `topics: ${this.#prefix}{transactions,${OUTPUTS.join(',')}}, ${PARTITIONS} partitions each`,
    );
    const startedAtMs = clock.monotonic();
    await runJob(PRODUCER_FILE, {
      brokers: this.broker,
      topic: this.#input,
      transactions: String(transactions),
      seed: String(SEED),
    });
    const seconds = (clock.monotonic() - startedAtMs) / 1000;
    say(`jobs/transactions-to-kafka filled ${this.#input} in ${seconds.toFixed(1)} s`);
    await this.alerts.open();
  }

  async compare(): Promise<FraudOutcome> {
    const { folder, transactions, interrupted } = this.#options;
    const records = path.join(folder, 'topics.tsv');
    const topics = [this.#input, ...this.#outputs];
    await readTopics({ broker: this.broker, topics, file: records, interrupted });
    const flags = {
      '--records': records,
      '--topic': this.#input,
      '--output-topics': this.#prefix,
      '--transactions': String(transactions),
      '--seed': String(SEED),
    };
    const args = ['verify-topics', ...Object.entries(flags).flat()];
    return outcomeOf(await runFraudCommand(args, { folder, interrupted }));
  }

  async close(): Promise<void> {
    await this.alerts.close();
    await this.#own?.close();
  }

  get #input(): string {
    return `${this.#prefix}transactions`;
  }

  get #outputs(): readonly string[] {
    return OUTPUTS.map((name) => `${this.#prefix}${name}`);
  }
}
