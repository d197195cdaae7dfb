/**
 * Output without transactions. At least once: a barrier waits until the brokers have all before it, and
 * what was not acknowledged is sent again, in its order, by a new producer. Otherwise nothing waits.
 */
import type { Clock } from '../../core/clock.js';
import { BatchSender, type OutgoingBatch } from './batch-sender.js';
import { BatchStream } from './batch-stream.js';
import type { Compression } from './compression.js';
import type { KafkaClient } from './kafka-client.js';
import type { KafkaCommittable } from './kafka-committable.js';
import { within } from './patience.js';
import type { SendBacklog } from './send-backlog.js';
import type { SentMetrics } from './sent-metrics.js';
import type { StreamingOutput } from './streaming-writer.js';

export interface DirectOutputOptions {
  readonly connect: () => KafkaClient;
  readonly topics: readonly string[];
  readonly compression: Compression;
  readonly backlog: SendBacklog;
  readonly sent: SentMetrics;
  readonly clock: Pick<Clock, 'monotonic' | 'setTimer'>;
  /** Whether a barrier waits for the brokers, and a failure is made good. */
  readonly delivery: 'atLeastOnce' | 'none';
  /** How long to go on after a failure that may pass, ms. */
  readonly patienceMs: number;
}

const LAST_SENT_MS = 5_000;
const PRODUCER_LOST = [
  'CONNECTION_FAILED',
  'REQUEST_TIMEOUT',
  'UNKNOWN_PRODUCER_ID',
  'OUT_OF_ORDER_SEQUENCE_NUMBER',
  'INVALID_PRODUCER_EPOCH',
];
/** Without a transactional id no transaction can time out. */
const NO_TRANSACTION_MS = 60_000;

export class DirectOutput implements StreamingOutput {
  readonly #options: DirectOutputOptions;
  readonly #stream: BatchStream;
  #client: KafkaClient | undefined;

  private constructor(options: DirectOutputOptions) {
    this.#options = options;
    const connect = (): Promise<BatchSender> => this.#connect();
    this.#stream = new BatchStream({ ...options, connect, healed: PRODUCER_LOST });
  }

  /** @throws MillraceError BROKER_UNREACHABLE, TOPIC_MISSING, ACCESS_DENIED */
  static async open(options: DirectOutputOptions): Promise<DirectOutput> {
    const output = new DirectOutput(options);
    try {
      await output.#stream.open();
      return output;
    } catch (error) {
      output.#client?.close();
      throw error;
    }
  }

  add(batch: OutgoingBatch): void {
    void this.#stream.add(batch);
  }

  async prepareCommit(): Promise<readonly KafkaCommittable[]> {
    if (this.#options.delivery === 'atLeastOnce') await this.#stream.flushed();
    return [];
  }

  async close(): Promise<void> {
    const { clock, delivery } = this.#options;
    // No barrier has waited for these.
    if (delivery === 'none') await within(clock, LAST_SENT_MS, this.#stream.flushed());
    this.#stream.stop();
    this.#client?.close();
  }

  async #connect(): Promise<BatchSender> {
    const { connect, topics, delivery } = this.#options;
    // By a producer that no broker knows: what the last one has under way is nobody's.
    this.#client?.close();
    const client = connect();
    this.#client = client;
    const identity =
      delivery === 'atLeastOnce' ? await client.initProducerId(null, NO_TRANSACTION_MS) : undefined;
    const sender = new BatchSender({
      client,
      acks: identity === undefined ? 1 : -1,
      ...(identity === undefined ? {} : { identity }),
    });
    await sender.learn(topics);
    return sender;
  }
}
