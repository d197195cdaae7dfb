/** Time of a record from when it was due to its arrival behind two exchanges, at a steady rate. */
import { BenchCluster } from '../bench-cluster.js';
import { quantileMs, type LatencyHistogram } from '../jobs/latency-tally.js';
import type { Benchmark, Measurement, RunOptions, Topology } from '../measurement.js';
import { readTallies } from '../tallies.js';

const RATE_PER_SECOND = 10_000;
const P99_MS_MAX = 20;

async function measure(
  topology: Topology,
  { seconds, warmUpSeconds, note }: RunOptions,
): Promise<Measurement> {
  const [workers = 1, slots = 1] = topology.split('x').map(Number);
  return BenchCluster.with({ workers, slots }, async (cluster) => {
    note(`latency ${topology}: ${RATE_PER_SECOND} records/s for ${seconds} s`);
    const jobId = await cluster.submit('latency.ts', {
      rate: String(RATE_PER_SECOND),
      warmUpSeconds: String(warmUpSeconds),
    });
    await cluster.watch(warmUpSeconds);
    const load = await cluster.watch(seconds);
    await cluster.checkRunning(jobId);
    await cluster.stop(jobId);
    const histograms = await readTallies<LatencyHistogram>(cluster.tallyFolder);
    const records = histograms.flat().reduce((sum, [, count]) => sum + count, 0);
    if (records < RATE_PER_SECOND * (seconds - 1)) {
      throw new Error(`latency ${topology}: only ${records} records arrived in ${seconds} s`);
    }
    const p99Ms = quantileMs(histograms, 0.99);
    return {
      benchmark: 'latency',
      topology,
      engine: 'millrace',
      records,
      cpuSeconds: load.cpuSeconds,
      rssBytesMax: load.rssBytesMax,
      foreignCores: load.foreignCores,
      noisy: load.noisy,
      figures: {
        ratePerSecond: RATE_PER_SECOND,
        p50Ms: quantileMs(histograms, 0.5),
        p99Ms,
        p999Ms: quantileMs(histograms, 0.999),
        maxMs: quantileMs(histograms, 1),
      },
      target: { text: `p99 below ${P99_MS_MAX} ms`, met: p99Ms < P99_MS_MAX },
    };
  });
}

export const latency: Benchmark = {
  name: 'latency',
  description: '10,000 records/s paced by due time through two exchanges',
  seconds: 20,
  run: async (options) => {
    const measurements: Measurement[] = [];
    for (const topology of options.topologies) measurements.push(await measure(topology, options));
    return measurements;
  },
};
