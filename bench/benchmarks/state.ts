/** A rolling value of 100 bytes for each of a million keys, read and written for every record. */
import { SPLITS } from '../jobs/transactions.js';
import type { RunningSums } from '../jobs/rolling-state.js';
import type { Benchmark } from '../measurement.js';
import { measureThroughput, type Proof } from './throughput.js';

/** Every record was counted once in its user's state. */
export function proveCounts(tallies: readonly RunningSums[]): Proof {
  const sum = tallies.reduce((total, tally) => total + tally.sum, 0);
  return {
    counts: Array.from({ length: SPLITS }, (_, split) =>
      tallies.reduce((total, { counts }) => total + (counts[split] ?? 0), 0),
    ),
    sums: { sum },
    checksum: sum.toString(16),
  };
}

interface Row {
  readonly benchmark: string;
  readonly jobFile: string;
  readonly rawLoop: string;
  readonly description: string;
  readonly targetPerSecond?: number;
}

function rolling({ benchmark, jobFile, rawLoop, description, ...target }: Row): Benchmark {
  return {
    name: benchmark,
    description,
    seconds: 20,
    run: (options) =>
      measureThroughput<RunningSums>(
        { benchmark, jobFile, rawLoop, prove: proveCounts, ...target },
        options,
      ),
  };
}

export const stateBenchmarks: readonly Benchmark[] = [
  rolling({
    benchmark: 'state',
    jobFile: 'state.ts',
    rawLoop: 'state',
    description:
      '1 M keys, each as often as any other, a 100-byte value read and written per record, memory backend',
  }),
  rolling({
    benchmark: 'state-rocksdb',
    jobFile: 'state-rocksdb.ts',
    rawLoop: 'state',
    description: 'the same in RocksDB, with as much memory as Flink has by default',
  }),
  rolling({
    benchmark: 'state-rocksdb-zipf',
    jobFile: 'state-rocksdb-zipf.ts',
    rawLoop: 'state-zipf',
    description: 'the same, some keys much more often than others',
  }),
  rolling({
    benchmark: 'state-quarter',
    jobFile: 'state-cold.ts',
    rawLoop: 'state',
    description: 'the same with memory for a quarter of the keys',
    targetPerSecond: 60_000,
  }),
  rolling({
    benchmark: 'state-quarter-zipf',
    jobFile: 'state-cold-zipf.ts',
    rawLoop: 'state-zipf',
    description: 'the same, some keys much more often than others',
    targetPerSecond: 150_000,
  }),
];
