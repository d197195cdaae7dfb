/**
 * One transactional id in our hands: fenced, its marker read, and ready for transactions that end with
 * the next marker. Whatever fails, the session is of no more use and its owner opens another, which
 * reads the marker anew: the outcome of a transaction is never guessed.
 */
import type { Clock } from '../../core/clock.js';
import { BatchSender } from './batch-sender.js';
import type { KafkaClient } from './kafka-client.js';
import type { BatchCommittable } from './kafka-committable.js';
import { hasKafkaCode, KafkaError, TRANSACTION_OVER } from './kafka-error.js';
import { groupBy, type TopicPartition } from './kafka-request.js';
import type { MarkerTopic } from './marker-topic.js';
import { untilEnded } from './open-transaction.js';
import { markerBatch, type SinkMarker } from './sink-marker.js';
import type { ProducerIdentity } from './transaction-requests.js';

export interface TransactionSessionOptions {
  readonly client: KafkaClient;
  readonly markers: MarkerTopic;
  readonly clock: Clock;
  readonly transactionalId: string;
  readonly markerPartition: number;
  readonly transactionTimeoutMs: number;
  /** How long it may take until a transaction that has ended is over in each of its partitions, ms. */
  readonly hangingMs: number;
}

export class TransactionSession {
  readonly #options: TransactionSessionOptions;
  readonly #identity: ProducerIdentity;
  #marker: SinkMarker | undefined;
  /** One for all transactions: sequence numbers go on. */
  readonly #sender: BatchSender;

  private constructor(
    options: TransactionSessionOptions,
    identity: ProducerIdentity,
    marker: SinkMarker | undefined,
  ) {
    this.#options = options;
    this.#identity = identity;
    this.#marker = marker;
    const { client, transactionalId } = options;
    this.#sender = new BatchSender({ client, identity, transactionalId, acks: -1 });
  }

  /**
   * Fences whoever had the id, which aborts what they left open, and only then reads the marker: nobody
   * can move it any more.
   */
  static async open(options: TransactionSessionOptions): Promise<TransactionSession> {
    const { client, markers, transactionalId, markerPartition, transactionTimeoutMs } = options;
    const identity = await client.initProducerId(transactionalId, transactionTimeoutMs);
    const marker = await markers.read(transactionalId, markerPartition);
    return new TransactionSession(options, identity, marker);
  }

  /** As it was read, or written since. */
  get marker(): SinkMarker | undefined {
    return this.#marker;
  }

  /** Whose markers are of this session. */
  get producer(): string {
    const { producerId, producerEpoch } = this.#identity;
    return `${producerId}/${producerEpoch}`;
  }

  get markerPartition(): number {
    return this.#options.markerPartition;
  }

  /**
   * Writes the batches and the marker in one transaction, and returns once the marker was read back.
   * Not to be called again before that.
   */
  async commit(batches: readonly BatchCommittable[], marker: SinkMarker): Promise<void> {
    const { clock, transactionTimeoutMs } = this.#options;
    const sinceMs = clock.monotonic();
    try {
      await this.#commit(batches, marker);
    } catch (error) {
      const tookMs = clock.monotonic() - sinceMs;
      const isOver = hasKafkaCode(error, ...TRANSACTION_OVER);
      throw isOver && tookMs >= transactionTimeoutMs ? this.#tookTooLong(batches, error) : error;
    }
  }

  async #commit(batches: readonly BatchCommittable[], marker: SinkMarker): Promise<void> {
    const { client, markers, clock, transactionalId, markerPartition } = this.#options;
    const markerPlace = { topic: markers.topic, partition: markerPartition };
    const partitions = partitionsOf(batches);
    await this.#sender.learn([markers.topic, ...partitions.map(({ topic }) => topic)]);
    await client.addPartitionsToTxn(transactionalId, this.#identity, [...partitions, markerPlace]);
    const [markerOffset] = await Promise.all([
      this.#sender.send({
        ...markerPlace,
        batch: markerBatch(clock.now(), transactionalId, marker),
      }),
      ...batches.map(({ topic, partition, batch }) =>
        this.#sender.send({ topic, partition, batch: bufferOf(batch) }),
      ),
    ]);
    await client.endTxn(transactionalId, this.#identity, 'commit');
    // That a broker took the end to its heart is not enough: one that died then was seen to lose it.
    const written = { key: transactionalId, partition: markerPartition, offset: markerOffset ?? 0 };
    if (!(await markers.isCommitted(written, (_, offset) => offset === markerOffset))) {
      throw new KafkaError(
        'BROKER_REFUSED',
        `the transaction of "${transactionalId}" was acknowledged and is not there; ` +
          'look into the log of the broker',
        { kafkaCode: 'TRANSACTION_LOST', retriable: true },
      );
    }
    await this.untilEnded(partitions);
    this.#marker = marker;
  }

  #tookTooLong(batches: readonly BatchCommittable[], cause: KafkaError): KafkaError {
    const { transactionalId, transactionTimeoutMs } = this.#options;
    const bytes = batches.reduce((sum, { batch }) => sum + batch.length, 0);
    return new KafkaError(
      'BROKER_REFUSED',
      `the brokers have ended transaction "${transactionalId}" (${cause.kafkaCode}): writing ${bytes} bytes ` +
        `took longer than transactionTimeoutMs (${transactionTimeoutMs}), and nothing is committed or lost; ` +
        "raise transactionTimeoutMs or the client's quota, or shorten checkpoint.intervalMs",
      { kafkaCode: cause.kafkaCode, retriable: false, cause },
    );
  }

  /** Until no partition of these epochs has a transaction of this id open, of which the marker tells that it is over. */
  async untilEnded(partitions: readonly TopicPartition[]): Promise<void> {
    if (partitions.length === 0) return;
    const { producerId } = this.#identity;
    await untilEnded({ ...this.#options, producerId, partitions });
  }
}

/** The partitions of batches, each once. */
export function partitionsOf(batches: readonly TopicPartition[]): readonly TopicPartition[] {
  const byPartition = groupBy(batches, ({ topic, partition }) => `${partition} ${topic}`);
  return [...byPartition.values()].flatMap(([first]) =>
    first === undefined ? [] : [{ topic: first.topic, partition: first.partition }],
  );
}

function bufferOf({ buffer, byteOffset, length }: Uint8Array): Buffer {
  return Buffer.from(buffer, byteOffset, length);
}
