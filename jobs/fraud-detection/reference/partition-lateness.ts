/** Which records of a topic are late: each partition has a watermark of its own, whoever reads it. */

export class PartitionLateness {
  readonly #maxOutOfOrdernessMs: number;
  readonly #maxTimestamps = new Map<number, number>();

  constructor(maxOutOfOrdernessMs: number) {
    this.#maxOutOfOrdernessMs = maxOutOfOrdernessMs;
  }

  /** To be called for every good record of a partition, in the order of its offsets. */
  isLate(partition: number, timestamp: number): boolean {
    const maxTimestamp = this.#maxTimestamps.get(partition) ?? -Infinity;
    this.#maxTimestamps.set(partition, Math.max(maxTimestamp, timestamp));
    return timestamp <= maxTimestamp - this.#maxOutOfOrdernessMs - 1;
  }
}
