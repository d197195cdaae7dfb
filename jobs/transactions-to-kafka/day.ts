/** The made-up day of the fraud detection job by its numbers: transaction i, whenever it is asked for. */
import { TransactionGenerator } from '../fraud-detection/generator/transaction-generator.js';
import type { Transaction } from '../fraud-detection/schemas.js';

/** One transaction follows from those before it, so that going back means beginning anew. */
export class Day {
  readonly #count: number;
  readonly #seed: number;
  #generator: TransactionGenerator;
  #next = 0;

  /** As TransactionGenerator takes them. */
  constructor(count: number, seed: number) {
    this.#count = count;
    this.#seed = seed;
    this.#generator = new TransactionGenerator(count, seed);
  }

  /** Takes as long as all transactions from the last one asked for, or from the first, up to this one. */
  transaction(index: number): Transaction {
    if (index < this.#next) {
      this.#generator = new TransactionGenerator(this.#count, this.#seed);
      this.#next = 0;
    }
    for (;;) {
      const made = this.#generator.next();
      if (made === undefined) throw new RangeError(`the day has no transaction ${index}`);
      this.#next += 1;
      if (this.#next > index) return made.transaction;
    }
  }
}
