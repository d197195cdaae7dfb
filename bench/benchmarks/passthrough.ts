/** Keyed exchange of 100-byte records: two workers with one slot, and one worker with two. */
import type { SplitSums } from '../jobs/prefix-tally.js';
import { SPLITS } from '../jobs/transactions.js';
import type { Benchmark } from '../measurement.js';
import { measureThroughput, type Proof } from './throughput.js';

const TARGET_PER_SECOND = 1_500_000;

/** Sums over epochs and subtasks. */
export function addSplitSums(tallies: readonly SplitSums[]): SplitSums {
  const add = (select: (tally: SplitSums) => readonly number[]): number[] =>
    Array.from({ length: SPLITS }, (_, split) =>
      tallies.reduce((sum, tally) => sum + (select(tally)[split] ?? 0), 0),
    );
  return { counts: add((tally) => tally.counts), sums: add((tally) => tally.sums) };
}

export function proveSplitSums(tallies: readonly SplitSums[]): Proof {
  const { counts, sums } = addSplitSums(tallies);
  return { counts, sums: { counts, sums }, checksum: sums.reduce((a, b) => a + b, 0).toString(16) };
}

/** The raw loop's sums without the key groups, which only keep its hashing alive. */
export function splitSumsOf(raw: unknown): SplitSums {
  const { counts, sums } = raw as SplitSums;
  return { counts, sums };
}

export const passthrough: Benchmark = {
  name: 'passthrough',
  description: 'source -> map -> keyBy 100k users -> map -> count, 100-byte records',
  seconds: 20,
  run: (options) =>
    measureThroughput<SplitSums>(
      {
        benchmark: 'passthrough',
        jobFile: 'passthrough.ts',
        prove: proveSplitSums,
        rawSums: splitSumsOf,
        targetPerSecond: TARGET_PER_SECOND,
      },
      options,
    ),
};
