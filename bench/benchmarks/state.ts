/** A rolling value of 100 bytes for each of a million keys, read and written for every record. */
import { SPLITS } from '../jobs/transactions.js';
import type { RunningSums } from '../jobs/state.js';
import type { Benchmark } from '../measurement.js';
import { measureThroughput, type Proof } from './throughput.js';

function prove(tallies: readonly RunningSums[]): Proof {
  const sum = tallies.reduce((total, tally) => total + tally.sum, 0);
  return {
    counts: Array.from({ length: SPLITS }, (_, split) =>
      tallies.reduce((total, { counts }) => total + (counts[split] ?? 0), 0),
    ),
    sums: { sum },
    checksum: sum.toString(16),
  };
}

export const state: Benchmark = {
  name: 'state',
  description: '1 M keys, a 100-byte value read and written per record, memory backend',
  seconds: 20,
  run: (options) =>
    measureThroughput<RunningSums>({ benchmark: 'state', jobFile: 'state.ts', prove }, options),
};
