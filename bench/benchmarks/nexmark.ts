/**
 * The queries of Nexmark, each a benchmark: a bounded stream of events from the first to the last,
 * starting up included; the tally must be what the naive model of the query comes to.
 */
import { BenchCluster } from '../bench-cluster.js';
import { NEXMARK_MODELS } from '../jobs/nexmark/models.js';
import type { RowSums } from '../jobs/nexmark/row-tally.js';
import type { Benchmark, Measurement, RunOptions, Topology } from '../measurement.js';
import { printProfile } from '../profile-split.js';
import { runRawLoop } from '../raw-loop.js';
import { readTallies } from '../tallies.js';
import { checkSums, measurementOfRaw, others, shapeOf } from './throughput.js';

/** So many for each second that the measurement is to last. */
const EVENTS_PER_SECOND = 500_000;

async function measure(
  query: string,
  topology: Topology,
  { seconds, profile, note }: RunOptions,
): Promise<readonly Measurement[]> {
  const benchmark = `nexmark-${query}`;
  const events = Math.round(seconds * EVENTS_PER_SECOND);
  const shape = { ...shapeOf(topology), ...(profile ? { profileAfterMs: 0 } : {}) };
  return BenchCluster.with(shape, async (cluster) => {
    note(`${benchmark} ${topology}: ${events} events`);
    const jobId = await cluster.submit(`nexmark/${query}.ts`, { events: String(events) });
    await cluster.running(jobId);
    const load = await cluster.watch(cluster.finished(jobId));
    const tallies = await readTallies<RowSums>(cluster.tallyFolder);
    const total = tallies.reduce((sum, tally) => sum + tally.sum, 0);
    const proof = { counts: [events], sums: { sum: total }, checksum: total.toString(16) };
    await cluster.close();
    const gcSeconds = await cluster.gcSeconds(load);
    const rate = (events * 1000) / (load.toMs - load.fromMs);
    const perCpu = events / load.cpuSeconds;
    if (profile) await printProfile(cluster.probeFolder, rate, note);
    note(`${benchmark} ${topology}: the naive model does the same events`);
    const raw = await runRawLoop(benchmark, proof.counts);
    checkSums(`${benchmark} ${topology}`, proof, raw.sums);
    return [
      {
        benchmark,
        topology,
        engine: 'millrace',
        recordsPerSecond: Math.round(rate),
        recordsPerCpuSecond: Math.round(perCpu),
        cpuSeconds: load.cpuSeconds,
        rssBytesMax: load.rssBytesMax,
        gcShare: gcSeconds / load.cpuSeconds,
        records: events,
        checksum: proof.checksum,
        rawRecordsPerSecond: Math.round(raw.recordsPerSecond),
        ratioToRaw: rate / raw.recordsPerSecond,
        ratioToRawPerCpu: perCpu / raw.recordsPerCpuSecond,
        ...others(load),
      },
      measurementOfRaw(benchmark, topology, events, proof, raw),
    ];
  });
}

const DESCRIPTIONS: Readonly<Record<string, string>> = {
  q0: 'pass-through',
  q1: 'currency conversion',
  q2: 'selection',
  q3: 'local item suggestion: join of people and auctions',
  q4: 'average of winning bids by category',
  q5: 'hot items: sliding windows',
  q7: 'highest bid: tumbling windows',
  q8: 'new users: join in tumbling windows',
  q11: 'user sessions',
  q12: 'processing-time windows',
  q13: 'join with a side input',
  q16: 'channel statistics: distinct counts',
  q17: 'auction statistics',
  q18: 'last bid',
  q19: 'top ten bids',
  q20: 'join of bids and auctions',
};

export const nexmark: readonly Benchmark[] = Object.keys(NEXMARK_MODELS).map((query) => ({
  name: `nexmark-${query}`,
  description: `Nexmark: ${DESCRIPTIONS[query] ?? query}`,
  seconds: 20,
  run: async (options) => {
    const measurements: Measurement[] = [];
    for (const topology of options.topologies) {
      measurements.push(...(await measure(query, topology, options)));
    }
    return measurements;
  },
}));
