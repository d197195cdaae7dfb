/**
 * State ten times its memory: what a worker takes on the machine must stay near its budget, however
 * long it lasts. Only what comes after all keys are there is measured.
 */
import { BenchCluster } from '../bench-cluster.js';
import type { RunningSums } from '../jobs/rolling-state.js';
import { LARGE_KEYS, LARGE_MEMORY_BYTES_MAX } from '../jobs/state-large.js';
import { SPLITS } from '../jobs/transactions.js';
import type { Benchmark, Measurement, RunOptions } from '../measurement.js';
import { rateBetween, readTallies } from '../tallies.js';

const SLOTS = 2;
/** Of one worker, beyond the budgets of its slots. */
const BEYOND_BUDGET_BYTES_MAX = 300e6;
/** Keys are filled in within minutes, or something is wrong. */
const FILL_ROUNDS_MAX = 120;
const FILL_ROUND_SECONDS = 5;

function countsOf(tallies: readonly RunningSums[]): number[] {
  return Array.from({ length: SPLITS }, (_, split) =>
    tallies.reduce((total, { counts }) => total + (counts[split] ?? 0), 0),
  );
}

/** What the counts of `records` visits to `keys` keys in turn add up to. */
function sumOfVisits(records: number, keys: number): number {
  const rounds = Math.floor(records / keys);
  return (keys * rounds * (rounds + 1)) / 2 + (records % keys) * (rounds + 1);
}

async function fill(cluster: BenchCluster): Promise<void> {
  for (let round = 0; round < FILL_ROUNDS_MAX; round++) {
    await cluster.watch(FILL_ROUND_SECONDS);
    const counts = countsOf(await readTallies<RunningSums>(cluster.tallyFolder));
    if (counts.every((count) => count >= LARGE_KEYS / SPLITS)) return;
  }
  throw new Error('state-large: the keys were not filled in within ten minutes');
}

function measure({ seconds, note }: RunOptions): Promise<Measurement> {
  return BenchCluster.with({ workers: 1, slots: SLOTS }, async (cluster) => {
    note(`state-large: ${LARGE_KEYS} keys of 1 KB are filled in, then ${seconds} s`);
    const jobId = await cluster.submit('state-large.ts');
    await fill(cluster);
    const load = await cluster.watch(seconds);
    await cluster.checkRunning(jobId);
    const rate = await rateBetween(cluster.tallyFolder, load.fromMs, load.toMs);
    await cluster.stop(jobId);
    const tallies = await readTallies<RunningSums>(cluster.tallyFolder);
    await cluster.close();
    const counts = countsOf(tallies);
    const sum = tallies.reduce((total, tally) => total + tally.sum, 0);
    const expected = counts.reduce(
      (total, count) => total + sumOfVisits(count, LARGE_KEYS / SPLITS),
      0,
    );
    if (sum !== expected) {
      throw new Error(`state-large: the counts add up to ${sum} instead of ${expected}`);
    }
    const budgetBytes = SLOTS * LARGE_MEMORY_BYTES_MAX;
    const worker = load.rssBytes.find(({ of }) => of === 'worker-1')?.readings ?? [];
    const workerRssBytesMax = worker.reduce((most, [, bytes]) => Math.max(most, bytes), 0);
    return {
      benchmark: 'state-large',
      topology: `1x${SLOTS}`,
      engine: 'millrace',
      recordsPerSecond: Math.round(rate),
      cpuSeconds: load.cpuSeconds,
      rssBytesMax: load.rssBytesMax,
      records: counts.reduce((total, count) => total + count, 0),
      checksum: sum.toString(16),
      foreignCores: load.foreignCores,
      noisy: load.noisy,
      figures: { budgetBytes, workerRssBytesMax },
      target: {
        text: `a worker's RSS is at most its budget of ${Math.round(budgetBytes / 1e6)} MB and ${BEYOND_BUDGET_BYTES_MAX / 1e6} MB`,
        met: workerRssBytesMax <= budgetBytes + BEYOND_BUDGET_BYTES_MAX,
      },
    };
  });
}

export const stateLarge: Benchmark = {
  name: 'state-large',
  description:
    'state ten times its memory budget: memory over time (give --seconds 600 for ten minutes)',
  seconds: 30,
  run: async (options) => [await measure(options)],
};
