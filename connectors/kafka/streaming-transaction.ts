/**
 * A transaction that is open while an epoch runs: it begins with the epoch's first batch, takes all others
 * as they come, and at the barrier the marker. It is never ended here with a commit: that is the
 * committer's, once the checkpoint is complete.
 */
import type { Clock } from '../../core/clock.js';
import { invariant } from '../../core/errors.js';
import { BatchSender, type OutgoingBatch } from './batch-sender.js';
import { BatchStream } from './batch-stream.js';
import type { Compression } from './compression.js';
import type { KafkaClient } from './kafka-client.js';
import { hasKafkaCode, KafkaError, TRANSACTION_OVER } from './kafka-error.js';
import type { TopicPartition } from './kafka-request.js';
import { PartitionAdmission } from './partition-admission.js';
import { within } from './patience.js';
import type { SendBacklog } from './send-backlog.js';
import type { SentMetrics } from './sent-metrics.js';
import type { TransactionalProducer } from './transaction-pool.js';

export interface StreamingTransactionOptions {
  readonly client: KafkaClient;
  readonly clock: Pick<Clock, 'monotonic' | 'setTimer'>;
  /** All that records may go to. */
  readonly topics: readonly string[];
  readonly markerPlace: TopicPartition;
  /** Called once, when there is something to write. */
  readonly begin: () => Promise<TransactionalProducer>;
  readonly transactionTimeoutMs: number;
  readonly compression: Compression;
  readonly backlog: SendBacklog;
  readonly sent: SentMetrics;
  readonly patienceMs: number;
}

/** A transaction that lacks only its end. */
export interface PreparedTransaction {
  readonly producer: TransactionalProducer;
  readonly markerOffset: number;
  /** Where its records are. */
  readonly partitions: readonly TopicPartition[];
}

/** After which the same producer sends the same again, and brokers know it. */
const CONNECTION_LOST = ['CONNECTION_FAILED', 'REQUEST_TIMEOUT'];
const ABORT_MS = 5_000;

export class StreamingTransaction {
  readonly #options: StreamingTransactionOptions;
  readonly #stream: BatchStream;
  /** Of the producer, whatever it is connected by. */
  readonly #sequences = new Map<string, number>();
  readonly #partitions = new Map<string, TopicPartition>();
  #producer: TransactionalProducer | undefined;

  constructor(options: StreamingTransactionOptions) {
    this.#options = options;
    const { markerPlace, sent } = options;
    this.#stream = new BatchStream({
      ...options,
      // No record of the job's goes to the topic of the markers.
      sent: {
        add: (batches) => sent.add(batches.filter(({ topic }) => topic !== markerPlace.topic)),
      },
      connect: () => this.#connect(),
      healed: CONNECTION_LOST,
    });
  }

  /** Nothing was written, so that no broker knows of it. */
  get isEmpty(): boolean {
    return this.#partitions.size === 0;
  }

  add(batch: OutgoingBatch): void {
    const { topic, partition } = batch;
    this.#partitions.set(`${topic}-${partition}`, { topic, partition });
    void this.#stream.add(batch);
  }

  /**
   * Once the brokers have all of it, and the marker at last. Nothing is added any more.
   * @throws MillraceError what became of it
   */
  async prepare(
    markerOf: (producer: TransactionalProducer) => Buffer,
  ): Promise<PreparedTransaction> {
    await this.#stream.flushed();
    const producer = this.#producer;
    invariant(producer !== undefined, 'what was written has a producer');
    const marker = { ...this.#options.markerPlace, batch: markerOf(producer) };
    const markerOffset = await this.#stream.add(marker);
    return { producer, markerOffset, partitions: [...this.#partitions.values()] };
  }

  /** Tries to end it, so that readers need not wait until it has timed out. Nothing is added any more. */
  async abort(): Promise<void> {
    const { client, clock } = this.#options;
    this.#stream.stop();
    if (this.#producer === undefined) return;
    const { transactionalId } = this.#producer;
    await within(clock, ABORT_MS, client.endTxn(transactionalId, this.#producer, 'abort'));
  }

  async #connect(): Promise<Pick<BatchSender, 'send'>> {
    const { client, topics, markerPlace, begin } = this.#options;
    const producer = (this.#producer ??= await begin());
    const sender = new BatchSender({
      client,
      identity: producer,
      transactionalId: producer.transactionalId,
      acks: -1,
      sequences: this.#sequences,
    });
    await sender.learn([...topics, markerPlace.topic]);
    const admission = new PartitionAdmission(client, producer);
    return {
      send: async (batch) => {
        try {
          // The marker's along with the first, so that the barrier need not wait for it.
          await Promise.all([admission.of(batch), admission.of(markerPlace)]);
          return await sender.send(batch);
        } catch (error) {
          throw hasKafkaCode(error, ...TRANSACTION_OVER) ? this.#over(producer, error) : error;
        }
      },
    };
  }

  #over({ transactionalId }: TransactionalProducer, cause: KafkaError): KafkaError {
    const { transactionTimeoutMs } = this.#options;
    return new KafkaError(
      'BROKER_REFUSED',
      `the brokers have ended transaction "${transactionalId}" before its checkpoint ` +
        `(${cause.kafkaCode}): it was open for longer than transactionTimeoutMs ` +
        `(${transactionTimeoutMs}), or a later attempt has aborted it; its records are written again ` +
        'from the last checkpoint. If this comes again, raise transactionTimeoutMs, or shorten ' +
        'checkpoint.intervalMs',
      { kafkaCode: cause.kafkaCode, retriable: false, cause },
    );
  }
}
