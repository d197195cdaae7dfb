/**
 * Time of a record from when it was due to its arrival behind two exchanges, at a steady rate. Flink
 * is measured with its own defaults, and once more with the buffer timeout that suits this work.
 */
import { BenchCluster } from '../bench-cluster.js';
import { atMost, withFigureRatios } from '../figures.js';
import type { FlinkBuild } from '../flink-build.js';
import { FlinkCluster } from '../flink-cluster.js';
import { FLINK_LATENCY } from '../flink-jobs.js';
import { quantileMs, type LatencyHistogram } from '../jobs/latency-tally.js';
import type { MeasuredCluster } from '../measured-cluster.js';
import type { Benchmark, Measurement, RunOptions, Topology } from '../measurement.js';
import { readTallies } from '../tallies.js';
import { unlessVoid } from '../unless-void.js';
import { others, shapeOf } from './throughput.js';

const RATE_PER_SECOND = 10_000;
const FIGURES_MS_MAX = { p50Ms: 2, p99Ms: 10 };
const SHORT_BUFFER_TIMEOUT_MS = 1;

/** One line of the report, which holds one engine of each kind. */
interface Row {
  readonly topology: Topology;
  /** The topology, and what Flink was told. */
  readonly title: string;
  readonly bufferTimeoutMs?: number;
}

function measureOurs(topology: Topology, options: RunOptions): Promise<Measurement> {
  return BenchCluster.with(shapeOf(topology), async (cluster) => {
    const measured = await runPaced(`latency ${topology} millrace`, cluster, options, () =>
      cluster.submit('latency.ts', {
        rate: String(RATE_PER_SECOND),
        warmUpSeconds: String(options.warmUpSeconds),
      }),
    );
    const text = `p50 within ${FIGURES_MS_MAX.p50Ms} ms, p99 within ${FIGURES_MS_MAX.p99Ms} ms`;
    return {
      benchmark: 'latency',
      topology,
      engine: 'millrace',
      ...measured,
      target: atMost(text, measured.figures, FIGURES_MS_MAX),
    };
  });
}

function measureFlink(row: Row, build: FlinkBuild, options: RunOptions): Promise<Measurement> {
  const { topology, title, bufferTimeoutMs } = row;
  const shape = {
    ...shapeOf(topology),
    ...(bufferTimeoutMs === undefined ? {} : { bufferTimeoutMs }),
  };
  return FlinkCluster.with({ build, ...shape }, async (cluster) => ({
    benchmark: 'latency',
    topology: title,
    engine: 'flink',
    engineVersion: build.version,
    ...(await runPaced(`latency ${title} flink`, cluster, options, () =>
      cluster.submit(FLINK_LATENCY, { more: [RATE_PER_SECOND, options.warmUpSeconds] }),
    )),
  }));
}

async function runPaced(
  title: string,
  cluster: MeasuredCluster,
  { seconds, warmUpSeconds, note }: RunOptions,
  submit: () => Promise<string>,
) {
  note(`${title}: ${RATE_PER_SECOND} records/s for ${seconds} s`);
  const jobId = await submit();
  await cluster.watch(warmUpSeconds);
  const load = await cluster.watch(seconds);
  await cluster.checkRunning(jobId);
  await cluster.stop(jobId);
  const histograms = await readTallies<LatencyHistogram>(cluster.tallyFolder);
  const records = histograms.flat().reduce((sum, [, count]) => sum + count, 0);
  if (records < RATE_PER_SECOND * (seconds - 1)) {
    throw new Error(`${title}: only ${records} records arrived in ${seconds} s`);
  }
  return {
    records,
    cpuSeconds: load.cpuSeconds,
    rssBytesMax: load.rssBytesMax,
    ...others(load),
    figures: {
      ratePerSecond: RATE_PER_SECOND,
      p50Ms: quantileMs(histograms, 0.5),
      p99Ms: quantileMs(histograms, 0.99),
      p999Ms: quantileMs(histograms, 0.999),
      maxMs: quantileMs(histograms, 1),
    },
  };
}

/** Our one measurement stands in both of its rows. */
async function measure(topology: Topology, options: RunOptions): Promise<readonly Measurement[]> {
  const ours = await measureOurs(topology, options);
  const build = options.flink;
  if (build === undefined) return [ours];
  const rows: readonly Row[] = [
    { topology, title: topology },
    {
      topology,
      title: `${topology}, Flink's buffers ${SHORT_BUFFER_TIMEOUT_MS} ms`,
      bufferTimeoutMs: SHORT_BUFFER_TIMEOUT_MS,
    },
  ];
  const measurements: Measurement[] = [];
  for (const row of rows) {
    const flink = await unlessVoid(`latency ${row.title} flink`, options.note, () =>
      measureFlink(row, build, options),
    );
    measurements.push(withFigureRatios({ ...ours, topology: row.title }, flink));
    if (flink !== undefined) measurements.push(flink);
  }
  return measurements;
}

export const latency: Benchmark = {
  name: 'latency',
  description: '10,000 records/s paced by due time through two exchanges',
  seconds: 20,
  run: async (options) => {
    const measurements: Measurement[] = [];
    for (const topology of options.topologies) {
      measurements.push(...(await measure(topology, options)));
    }
    return measurements;
  },
};
