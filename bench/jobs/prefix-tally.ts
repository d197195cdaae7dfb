/**
 * The tally of transactions: count and fingerprints by split of the generator. A split emits its
 * indices in order, so the tally of a run that was stopped at a barrier must be that of a prefix of
 * each split; one record lost or doubled before its end gives other sums.
 */
import type { Tally } from './tally-sink.js';
import { EPOCH_MS, fingerprint, SPLITS, type Transaction } from './transactions.js';

export interface SplitSums {
  readonly counts: number[];
  readonly sums: number[];
}

export class PrefixTally implements Tally<Transaction> {
  #counts = new Float64Array(SPLITS);
  #sums = new Float64Array(SPLITS);

  add(record: Transaction): void {
    const split = (record.timestamp - EPOCH_MS) & (SPLITS - 1);
    this.#counts[split] = (this.#counts[split] ?? 0) + 1;
    this.#sums[split] = (this.#sums[split] ?? 0) + fingerprint(record);
  }

  cut(): SplitSums {
    const sums = { counts: [...this.#counts], sums: [...this.#sums] };
    this.#counts.fill(0);
    this.#sums.fill(0);
    return sums;
  }
}
