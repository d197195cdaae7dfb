/**
 * Transactions that somebody began and nobody has ended, by whom they may be ended: those of a complete
 * checkpoint are resumed by their identity and committed, all others aborted. That an end was
 * acknowledged, or refused, says nothing here: the marker within the transaction alone does. One that
 * brokers have aborted is lost, and that must never pass unsaid.
 */
import { MillraceError } from '../../core/errors.js';
import type { Clock } from '../../core/clock.js';
import type { KafkaClient } from './kafka-client.js';
import type { TransactionCommittable } from './kafka-committable.js';
import { hasKafkaCode, isRetriable, KafkaError, TRANSACTION_OVER } from './kafka-error.js';
import { MarkerTopic } from './marker-topic.js';
import { untilEnded } from './open-transaction.js';
import { within, withPatience } from './patience.js';
import { fencePool, type SubtaskAttempt } from './transaction-pool.js';

export interface LeftTransactionsOptions {
  readonly client: KafkaClient;
  readonly clock: Clock;
  readonly transactionTimeoutMs: number;
  /** How long it may take until a transaction that has ended is over in each of its partitions, ms. */
  readonly hangingMs: number;
  /** How long to go on after a failure that may pass, ms. */
  readonly patienceMs: number;
  /** Whether there may be some of an attempt of which the checkpoint has none. */
  readonly isStreaming: boolean;
}

const FIRST_DELAY_MS = 20;
const ABORT_MS = 5_000;
/** The end of a transaction may be asked for again: nothing else has its identity. */
const OUTCOME_UNKNOWN = ['CONNECTION_FAILED', 'REQUEST_TIMEOUT'];

export class LeftTransactions {
  #mayBeOpen: boolean;
  /** By topic, until something fails. */
  readonly #markers = new Map<string, Promise<MarkerTopic>>();

  constructor(private readonly options: LeftTransactionsOptions) {
    this.#mayBeOpen = options.isStreaming;
  }

  /**
   * Commits a transaction, and returns once its marker was read and it is over in each of its partitions.
   * @throws MillraceError OUTPUT_LOST when the brokers have aborted it, BROKER_UNREACHABLE, BROKER_REFUSED
   */
  commit(transaction: TransactionCommittable): Promise<void> {
    this.#mayBeOpen = true;
    const { clock, patienceMs } = this.options;
    return withPatience({ clock, patienceMs, firstDelayMs: FIRST_DELAY_MS }, async () => {
      try {
        await this.#commit(transaction);
      } catch (error) {
        // Leaders may have moved.
        this.#markers.clear();
        if (isRetriable(error) || !hasKafkaCode(error, ...OUTCOME_UNKNOWN)) throw error;
        const { code, message, kafkaCode } = error;
        throw new KafkaError(code, message, { kafkaCode, retriable: true, cause: error });
      }
    });
  }

  /** Tries to abort one whose checkpoint will never be complete, so that readers need not wait for its timeout. */
  async abort({ transactionalId, ...identity }: TransactionCommittable): Promise<void> {
    const { client, clock } = this.options;
    await within(clock, ABORT_MS, client.endTxn(transactionalId, identity, 'abort'));
  }

  /** Fences an attempt that is over, and aborts what it has open; nothing where there never were any. */
  async abortAll(owner: SubtaskAttempt): Promise<void> {
    const { client, transactionTimeoutMs } = this.options;
    if (this.#mayBeOpen) await fencePool(client, owner, transactionTimeoutMs);
  }

  close(): void {
    this.options.client.close();
  }

  async #commit(transaction: TransactionCommittable): Promise<void> {
    const { transactionalId, producerId, partitions } = transaction;
    let refusal: KafkaError | undefined;
    try {
      await this.options.client.endTxn(transactionalId, transaction, 'commit');
    } catch (error) {
      if (!hasKafkaCode(error, ...TRANSACTION_OVER)) throw error;
      refusal = error;
    }
    if (!(await this.#isCommitted(transaction))) throw lost(transaction, refusal);
    await untilEnded({ ...this.options, transactionalId, producerId, partitions });
  }

  async #isCommitted(transaction: TransactionCommittable): Promise<boolean> {
    const { jobId, checkpointId, markerTopic: topic } = transaction;
    const { markerKey: key, markerPartition: partition, markerOffset: offset } = transaction;
    const opened = this.#markers.get(topic) ?? MarkerTopic.open({ ...this.options, topic });
    this.#markers.set(topic, opened);
    const markers = await opened;
    // A later one of this job tells the same: its id is used again only for what comes after.
    return markers.isCommitted({ key, partition, offset }, (marker) => {
      return marker.jobId === jobId && marker.checkpointId >= checkpointId;
    });
  }
}

function lost(
  { transactionalId, checkpointId, partitions }: TransactionCommittable,
  refusal: KafkaError | undefined,
): MillraceError {
  const topics = [...new Set(partitions.map(({ topic }) => `"${topic}"`))].join(', ');
  const reason = refusal === undefined ? 'it was acknowledged' : refusal.kafkaCode;
  return new MillraceError(
    'OUTPUT_LOST',
    `the brokers have aborted transaction "${transactionalId}" before it could be committed (${reason}), ` +
      `so that the records of checkpoint ${checkpointId} in topic ${topics} are lost. A longer ` +
      "transactionTimeoutMs, or transaction: 'atCheckpoint', avoids it; started from an older " +
      'checkpoint or savepoint, a job writes them again, with all that came after it',
    refusal === undefined ? {} : { cause: refusal },
  );
}
