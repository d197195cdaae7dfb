/**
 * Which batches of a fetch belong to transactions that were aborted. The broker names them beside the
 * records; a read_committed reader must skip them itself. Decided per batch, never by a record's key:
 * a record of a user may look like a marker.
 */

/** A transaction that a broker names as aborted, with the offset of its first record in the partition. */
export interface AbortedTransaction {
  readonly producerId: bigint;
  readonly firstOffset: number;
}

export class AbortedTransactions {
  /** By first offset, ascending: brokers answer in the order of their ends. */
  #announced: readonly AbortedTransaction[] = [];
  #next = 0;
  /** Producers whose aborted transaction has begun and not ended at the batch last looked at. */
  readonly #open = new Set<bigint>();

  begin(transactions: readonly AbortedTransaction[]): void {
    this.#announced =
      transactions.length < 2
        ? transactions
        : [...transactions].sort((left, right) => left.firstOffset - right.firstOffset);
    this.#next = 0;
    this.#open.clear();
  }

  /** Comes to a batch; batches are met in the order of their offsets. */
  advance(lastOffset: number): void {
    for (;;) {
      const transaction = this.#announced[this.#next];
      if (transaction === undefined || transaction.firstOffset > lastOffset) return;
      this.#open.add(transaction.producerId);
      this.#next++;
    }
  }

  /** A marker of the producer, of abort or of commit, ends what it had open. */
  end(producerId: bigint): void {
    this.#open.delete(producerId);
  }

  /** Whether a transactional batch of the producer was aborted. */
  has(producerId: bigint): boolean {
    return this.#open.has(producerId);
  }
}
