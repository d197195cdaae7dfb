/**
 * The transactional ids of a subtask whose transactions last as long as an epoch: one is open, and those
 * before it wait for their checkpoints. An id is used again only once its transaction is committed, and
 * by a producer of a new epoch, so that no two transactions ever have one identity. The ids are those of
 * one attempt: what is left of it can never fence the attempts after it.
 */
import { MillraceError } from '../../core/errors.js';
import type { KafkaClient } from './kafka-client.js';
import { hasKafkaCode, KafkaError, TRANSACTION_OVER } from './kafka-error.js';
import { transactionalIdOf, type SinkIdentity } from './sink-marker.js';
import type { ProducerIdentity } from './transaction-requests.js';

/** One attempt of a subtask. */
export interface SubtaskAttempt extends SinkIdentity {
  readonly attempt: number;
}

/** Who writes a transaction. */
export interface TransactionalProducer extends ProducerIdentity {
  readonly transactionalId: string;
  /** Its number in the pool. */
  readonly index: number;
}

/** One that is open, and one for each checkpoint that may fail in a row before the job restarts, unless set otherwise. */
const POOL_SIZE = 5;

export class TransactionPool {
  /** Those that are free, the one that has been so for longest first: its last transaction is over everywhere. */
  readonly #free: TransactionalProducer[];
  readonly #taken = new Map<string, TransactionalProducer>();

  private constructor(
    private readonly client: KafkaClient,
    private readonly transactionTimeoutMs: number,
    producers: readonly TransactionalProducer[],
  ) {
    this.#free = [...producers];
  }

  /** @throws MillraceError ACCESS_DENIED, BROKER_REFUSED naming the transactional id, BROKER_UNREACHABLE */
  static async open(
    client: KafkaClient,
    owner: SubtaskAttempt,
    transactionTimeoutMs: number,
  ): Promise<TransactionPool> {
    const producers = await fencePool(client, owner, transactionTimeoutMs);
    return new TransactionPool(client, transactionTimeoutMs, producers);
  }

  /**
   * For the next transaction.
   * @throws MillraceError OUTPUT_FAILED when all wait for their checkpoints, BROKER_REFUSED when this attempt is over
   */
  async take(): Promise<TransactionalProducer> {
    const [next] = this.#free;
    if (next === undefined) {
      throw new MillraceError(
        'OUTPUT_FAILED',
        `${POOL_SIZE} transactions of the sink wait for checkpoints that do not become complete; ` +
          `look why they fail, and keep checkpoint.tolerableFailures below ${POOL_SIZE - 1}`,
      );
    }
    const producer = await this.#renewed(next);
    this.#free.shift();
    this.#taken.set(producer.transactionalId, producer);
    return producer;
  }

  /** Its transaction is committed. */
  release(transactionalId: string): void {
    const producer = this.#taken.get(transactionalId);
    if (producer === undefined) return;
    this.#taken.delete(transactionalId);
    this.#free.push(producer);
  }

  /** Only as who has the id: whoever has fenced this attempt stays undisturbed. */
  async #renewed(last: TransactionalProducer): Promise<TransactionalProducer> {
    const { transactionalId, index } = last;
    try {
      const { client, transactionTimeoutMs } = this;
      const identity = await client.initProducerId(transactionalId, transactionTimeoutMs, last);
      return { ...identity, transactionalId, index };
    } catch (error) {
      if (!hasKafkaCode(error, ...TRANSACTION_OVER)) throw error;
      const { kafkaCode } = error;
      throw new KafkaError(
        'BROKER_REFUSED',
        `a later attempt has taken transactional id "${transactionalId}", or nobody has used it for so ` +
          `long that the brokers forgot it (${kafkaCode}); the job goes on from its last checkpoint, and ` +
          'nothing has to be done',
        { kafkaCode, retriable: false, cause: error },
      );
    }
  }
}

/** Takes all ids of an attempt, which aborts whatever it has open. */
export function fencePool(
  client: KafkaClient,
  owner: SubtaskAttempt,
  transactionTimeoutMs: number,
): Promise<readonly TransactionalProducer[]> {
  return Promise.all(
    Array.from({ length: POOL_SIZE }, async (_, index) => {
      const transactionalId = `${transactionalIdOf(owner)}/${owner.attempt}/${index}`;
      const identity = await client.initProducerId(transactionalId, transactionTimeoutMs);
      return { ...identity, transactionalId, index };
    }),
  );
}
