/**
 * Which partitions belong to a transaction: brokers want to be told of each before a batch goes there.
 * Those that are met together are told of together.
 */
import type { KafkaClient } from './kafka-client.js';
import type { TopicPartition } from './kafka-request.js';
import type { TransactionalProducer } from './transaction-pool.js';

export class PartitionAdmission {
  /** By partition. */
  readonly #admitted = new Map<string, Promise<void>>();
  #together: TopicPartition[] = [];
  #request: Promise<void> | undefined;

  constructor(
    private readonly client: KafkaClient,
    private readonly producer: TransactionalProducer,
  ) {}

  /**
   * Resolves once the partition belongs to the transaction: for one partition in the order of the calls.
   * @throws MillraceError naming the partition, or the transactional id
   */
  of({ topic, partition }: TopicPartition): Promise<void> {
    const name = `${topic}-${partition}`;
    let admitted = this.#admitted.get(name);
    if (admitted === undefined) {
      this.#together.push({ topic, partition });
      this.#request ??= Promise.resolve().then(() => this.#ask());
      admitted = this.#request;
      this.#admitted.set(name, admitted);
    }
    return admitted;
  }

  #ask(): Promise<void> {
    const partitions = this.#together;
    this.#together = [];
    this.#request = undefined;
    const { client, producer } = this;
    return client.addPartitionsToTxn(producer.transactionalId, producer, partitions);
  }
}
