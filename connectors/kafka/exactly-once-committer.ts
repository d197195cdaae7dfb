/**
 * The committer of an exactly-once Kafka sink, whichever transactions it has now or had before: batches
 * that a checkpoint holds are written by kafka-committer.ts, and transactions that were open while their
 * epoch ran are ended by left-transactions.ts. Both know by the same markers who goes on with the output.
 */
import type { Counter } from '../../api/metrics.js';
import type { Committer } from '../../api/sink.js';
import { isMillraceError } from '../../core/errors.js';
import type {
  BatchCommittable,
  KafkaCommittable,
  TransactionCommittable,
} from './kafka-committable.js';
import { KafkaCommitter, type KafkaCommitterOptions } from './kafka-committer.js';
import { LeftTransactions } from './left-transactions.js';

export interface ExactlyOnceCommitterOptions extends Omit<KafkaCommitterOptions, 'onClaim'> {
  /** Whether this attempt's transactions are open while an epoch runs. */
  readonly isStreaming: boolean;
}

export class ExactlyOnceCommitter implements Committer<KafkaCommittable> {
  private constructor(
    private readonly batches: KafkaCommitter,
    private readonly transactions: LeftTransactions,
    private readonly committed: Counter,
  ) {}

  /** @throws as `KafkaCommitter.open` */
  static async open(options: ExactlyOnceCommitterOptions): Promise<ExactlyOnceCommitter> {
    const { connect, context, transactionalIdPrefix: prefix, isStreaming } = options;
    const { clock, operator } = context;
    const transactions = new LeftTransactions({ ...options, clock, client: connect() });
    try {
      const batches = await KafkaCommitter.open({
        ...options,
        claimsAtStart: isStreaming,
        onClaim: (left) => transactions.abortAll({ ...left, prefix, operator }),
      });
      const committed = context.metrics.counter('transactions_committed');
      return new ExactlyOnceCommitter(batches, transactions, committed);
    } catch (error) {
      transactions.close();
      throw error;
    }
  }

  async commit(committables: readonly KafkaCommittable[]): Promise<void> {
    for (const transaction of committables.filter(isTransaction)) {
      await this.#end(transaction);
    }
    const batches = committables.filter(isBatch);
    if (batches.length > 0) await this.batches.commit(batches);
  }

  recover(): Promise<void> {
    return this.batches.recover();
  }

  async discard(orphans: readonly KafkaCommittable[]): Promise<void> {
    for (const orphan of orphans.filter(isTransaction)) await this.transactions.abort(orphan);
  }

  async close(): Promise<void> {
    this.transactions.close();
    await this.batches.close();
  }

  async #end(transaction: TransactionCommittable): Promise<void> {
    try {
      await this.transactions.commit(transaction);
      this.committed.inc();
    } catch (error) {
      // Whoever goes on with this output has aborted it.
      if (isMillraceError(error) && error.code === 'OUTPUT_LOST') await this.batches.checkOwner();
      throw error;
    }
  }
}

function isTransaction(committable: KafkaCommittable): committable is TransactionCommittable {
  return committable.kind === 'transaction';
}

function isBatch(committable: KafkaCommittable): committable is BatchCommittable {
  return committable.kind === 'batch';
}
