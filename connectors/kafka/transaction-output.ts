/**
 * Output in transactions that are as long as an epoch: each barrier leaves one to the committer and
 * begins another, under another id, since nobody knows yet whether its checkpoint will be complete.
 */
import type { Clock } from '../../core/clock.js';
import type { OutgoingBatch } from './batch-sender.js';
import type { KafkaCommittable, TransactionCommittable } from './kafka-committable.js';
import { markerBatch, transactionalIdOf } from './sink-marker.js';
import {
  StreamingTransaction,
  type PreparedTransaction,
  type StreamingTransactionOptions,
} from './streaming-transaction.js';
import type { StreamingOutput } from './streaming-writer.js';
import { TransactionPool, type SubtaskAttempt } from './transaction-pool.js';

export interface TransactionOutputOptions extends Omit<StreamingTransactionOptions, 'begin'> {
  readonly clock: Clock;
  readonly owner: SubtaskAttempt;
  readonly parallelism: number;
}

export class TransactionOutput implements StreamingOutput {
  readonly #options: TransactionOutputOptions;
  readonly #pool: TransactionPool;
  #running: StreamingTransaction;

  private constructor(options: TransactionOutputOptions, pool: TransactionPool) {
    this.#options = options;
    this.#pool = pool;
    this.#running = this.#next(Promise.resolve());
  }

  /** Takes all its ids, so that what is wrong with access is told before any record. @throws as `TransactionPool.open` */
  static async open(options: TransactionOutputOptions): Promise<TransactionOutput> {
    const { client, owner, transactionTimeoutMs } = options;
    const pool = await TransactionPool.open(client, owner, transactionTimeoutMs);
    return new TransactionOutput(options, pool);
  }

  add(batch: OutgoingBatch): void {
    this.#running.add(batch);
  }

  async prepareCommit(checkpointId: number): Promise<readonly KafkaCommittable[]> {
    const ending = this.#running;
    // It goes on as it is: there is nothing that could be committed.
    if (ending.isEmpty) return [];
    const preparing = this.#prepare(ending, checkpointId);
    this.#running = this.#next(preparing);
    return [await preparing];
  }

  notifyCommitted(committables: readonly KafkaCommittable[]): void {
    for (const { transactionalId } of committables) this.#pool.release(transactionalId);
  }

  async close(): Promise<void> {
    await this.#running.abort();
    this.#options.client.close();
  }

  /** @param before what its records come after in each partition */
  #next(before: Promise<unknown>): StreamingTransaction {
    return new StreamingTransaction({
      ...this.#options,
      begin: async () => {
        await before;
        return this.#pool.take();
      },
    });
  }

  async #prepare(
    ending: StreamingTransaction,
    checkpointId: number,
  ): Promise<TransactionCommittable> {
    const { clock, owner, parallelism, markerPlace } = this.#options;
    const { jobId, attempt } = owner;
    const prepared: PreparedTransaction = await ending.prepare(
      ({ index, producerId, producerEpoch }) => {
        const producer = `${producerId}/${producerEpoch}`;
        const marker = { checkpointId, jobId, attempt, producer, parallelism };
        return markerBatch(clock.now(), markerKeyOf(owner, index), marker);
      },
    );
    const { producer, markerOffset, partitions } = prepared;
    return {
      kind: 'transaction',
      checkpointId,
      jobId,
      attempt,
      transactionalId: producer.transactionalId,
      producerId: producer.producerId,
      producerEpoch: producer.producerEpoch,
      markerTopic: markerPlace.topic,
      markerPartition: markerPlace.partition,
      markerKey: markerKeyOf(owner, producer.index),
      markerOffset,
      partitions,
    };
  }
}

/** The same for all attempts, so that their markers replace each other. */
function markerKeyOf(owner: SubtaskAttempt, index: number): string {
  return `${transactionalIdOf(owner)}/${index}`;
}
