/**
 * The outside world that the simulated sink writes to: transactions are prepared, then committed
 * once, and what readers see is the records of committed ones.
 */
import { MillraceError } from '../../core/errors.js';

export interface OutputRecord {
  readonly key: string;
  readonly kind: 'count' | 'timer' | 'told';
  /** The count, the timer's timestamp, or that with what had been broadcast by then. */
  readonly value: number;
}

interface Prepared {
  readonly subtask: number;
  readonly attempt: number;
  readonly records: readonly OutputRecord[];
}

export interface WriterPlace {
  readonly subtask: number;
  readonly parallelism: number;
  readonly attempt: number;
}

export class TransactionalOutput {
  readonly #prepared = new Map<string, Prepared>();
  readonly #committed = new Map<string, readonly OutputRecord[]>();
  /** Records of kind 'count' that readers see. */
  committedCounts = 0;

  prepare(transaction: string, prepared: Prepared): void {
    this.#prepared.set(transaction, prepared);
  }

  /** Idempotent. A transaction that is neither prepared nor committed is lost output. */
  commit(transaction: string): void {
    if (this.#committed.has(transaction)) return;
    const prepared = this.#prepared.get(transaction);
    if (prepared === undefined) {
      throw new MillraceError(
        'OUTPUT_FAILED',
        `transaction ${transaction} is gone; output is lost`,
      );
    }
    this.#prepared.delete(transaction);
    this.#committed.set(transaction, prepared.records);
    this.committedCounts += prepared.records.filter(({ kind }) => kind === 'count').length;
  }

  /** Drops what subtasks of earlier attempts that fall to this one left uncommitted, except `kept`. */
  discardOlder({ subtask, parallelism, attempt }: WriterPlace, kept: ReadonlySet<string>): void {
    for (const [transaction, prepared] of this.#prepared) {
      if (prepared.subtask % parallelism !== subtask || prepared.attempt >= attempt) continue;
      if (!kept.has(transaction)) this.#prepared.delete(transaction);
    }
  }

  /** All committed records as sorted lines. */
  lines(): readonly string[] {
    const records = [...this.#committed.values()].flat();
    return records.map(({ key, kind, value }) => `${key} ${kind} ${value}`).sort();
  }
}
