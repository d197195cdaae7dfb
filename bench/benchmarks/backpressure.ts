/** A sink slower than its source: memory must not grow, however long it lasts. */
import { isDeepStrictEqual } from 'node:util';
import { BenchCluster } from '../bench-cluster.js';
import type { SplitSums } from '../jobs/prefix-tally.js';
import type { Benchmark, Measurement, RunOptions } from '../measurement.js';
import { runRawLoop } from '../raw-loop.js';
import { rateBetween, readTallies } from '../tallies.js';
import { proveSplitSums, splitSumsOf } from './exchange.js';

const SINK_RATE_PER_SECOND = 20_000;
/** Of the median of the last third over that of the first: what a heap's size moves by itself. */
const GROWTH_MAX = 0.1;

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
}

async function measure({ seconds, warmUpSeconds, note }: RunOptions): Promise<Measurement> {
  return BenchCluster.with({ workers: 2, slots: 1 }, async (cluster) => {
    note(`backpressure: sinks take ${SINK_RATE_PER_SECOND} records/s each for ${seconds} s`);
    const jobId = await cluster.submit('exchange.ts', { sinkRate: String(SINK_RATE_PER_SECOND) });
    await cluster.watch(warmUpSeconds);
    const load = await cluster.watch(seconds);
    await cluster.checkRunning(jobId);
    const rate = await rateBetween(cluster.tallyFolder, load.fromMs, load.toMs);
    const { history } = await cluster.client.checkpoints(jobId);
    const checkpointMs = history.flatMap(({ durationMs }) => durationMs ?? []);
    await cluster.stop(jobId);
    const proof = proveSplitSums(await readTallies<SplitSums>(cluster.tallyFolder));
    await cluster.close();
    const raw = await runRawLoop('exchange', proof.counts);
    if (!isDeepStrictEqual(splitSumsOf(raw.sums), proof.sums)) {
      throw new Error(
        'backpressure: records were lost or doubled; the tallies are not the input’s',
      );
    }
    const third = Math.floor(load.rssBytes.length / 3);
    const early = median(load.rssBytes.slice(0, third));
    const late = median(load.rssBytes.slice(-third));
    const growth = late / early - 1;
    return {
      benchmark: 'backpressure',
      topology: '2x1',
      engine: 'millrace',
      recordsPerSecond: Math.round(rate),
      cpuSeconds: load.cpuSeconds,
      rssBytesMax: load.rssBytesMax,
      records: proof.counts.reduce((sum, count) => sum + count, 0),
      checksum: proof.checksum,
      foreignCores: load.foreignCores,
      noisy: load.noisy,
      figures: {
        rssBytesFirstThird: early,
        rssBytesLastThird: late,
        growth,
        checkpointMsMedian: median(checkpointMs),
        checkpointMsMax: Math.max(...checkpointMs),
      },
      target: { text: `memory grows by less than ${GROWTH_MAX * 100}%`, met: growth < GROWTH_MAX },
    };
  });
}

export const backpressure: Benchmark = {
  name: 'backpressure',
  description:
    'a sink slower than its source: memory over time (give --seconds 600 for ten minutes)',
  seconds: 60,
  run: async (options) => [await measure(options)],
};
