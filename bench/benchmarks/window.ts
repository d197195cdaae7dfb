/** One-minute windows of 100,000 users: each window that fired must hold exactly its records. */
import { SPLITS } from '../jobs/transactions.js';
import { RECORDS_PER_WINDOW } from '../jobs/window-pipeline.js';
import type { WindowTotals } from '../jobs/window-tally.js';
import type { Benchmark } from '../measurement.js';
import { measureThroughput, type Proof } from './throughput.js';

/** Sums by window, in order of time. A window may have been reported over several epochs. */
export function proveWindows(tallies: readonly WindowTotals[]): Proof {
  const windows = new Map<number, [number, number]>();
  for (const [start, count, sum] of tallies.flat()) {
    const [counted, summed] = windows.get(start) ?? [0, 0];
    windows.set(start, [counted + count, summed + sum]);
  }
  const sums = [...windows]
    .map(([start, [count, sum]]) => [start, count, sum] as const)
    .sort(([a], [b]) => a - b);
  return {
    counts: Array<number>(SPLITS).fill((sums.length * RECORDS_PER_WINDOW) / SPLITS),
    sums,
    checksum: sums.reduce((total, [, , sum]) => total + sum, 0).toString(16),
  };
}

function windows(name: string, description: string): Benchmark {
  return {
    name,
    description,
    seconds: 20,
    run: (options) =>
      measureThroughput<WindowTotals>(
        { benchmark: name, jobFile: `${name}.ts`, rawLoop: 'window', prove: proveWindows },
        options,
      ),
  };
}

export const windowBenchmarks: readonly Benchmark[] = [
  windows('window', '1-minute tumbling sum and count of 100k users, memory backend'),
  windows('window-rocksdb', 'the same in the rocksdb backend, with memory for all keys'),
];
