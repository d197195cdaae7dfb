/**
 * A sink slower than its source: memory must not grow, however long it lasts. Two things are watched:
 * what each thread still holds after a full collection, where a leak of a few KB/s shows, and the
 * memory of each process, where one outside of the heaps does.
 */
import { isDeepStrictEqual } from 'node:util';
import { BenchCluster } from '../bench-cluster.js';
import type { SplitSums } from '../jobs/prefix-tally.js';
import type { LoadWindow, MemorySeries } from '../load-watch.js';
import type { Benchmark, Measurement, RunOptions } from '../measurement.js';
import { floorsOf, growthInTenMinutes, type MemoryReading } from '../memory-growth.js';
import { runRawLoop } from '../raw-loop.js';
import { rateBetween, readTallies } from '../tallies.js';
import { proveSplitSums, splitSumsOf } from './passthrough.js';

const SINK_RATE_PER_SECOND = 20_000;
/** In ten minutes, of one thread's heap: 3 KB/s. Code and feedback of functions still settle. */
const LIVE_GROWTH_MAX_BYTES = 2e6;
/** In ten minutes, of one process: 13 KB/s. Allocators outside of the heaps settle, too. */
const RSS_GROWTH_MAX_BYTES = 8e6;
/** A shorter run has not settled, and says nothing about ten minutes. */
const TARGET_SECONDS_MIN = 300;
/** Of the run, before anything counts. */
const WARM_UP_SHARE = 0.3;
const STRETCHES = 60;
const LIVE_READINGS = 30;
const LIVE_INTERVAL_MIN_MS = 1000;

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
}

/** Of the thread, or process, that grows most; bytes in ten minutes. */
function greatestGrowth(series: readonly MemorySeries[], seconds: number): number {
  const options = {
    fromSeconds: seconds * WARM_UP_SHARE,
    stretchSeconds: seconds / STRETCHES,
  };
  return Math.max(...series.map(({ readings }) => growthInTenMinutes(readings, options)));
}

/** `seconds:megabytes ...` */
function megabytes(readings: readonly MemoryReading[]): string {
  return readings
    .map(([seconds, bytes]) => `${seconds.toFixed(0)}:${(bytes / 1e6).toFixed(2)}`)
    .join(' ');
}

function memoryOf(
  load: LoadWindow,
  live: readonly MemorySeries[],
  seconds: number,
): Pick<Measurement, 'figures' | 'series' | 'target'> {
  const liveGrowth = greatestGrowth(live, seconds);
  const rssGrowth = greatestGrowth(load.rssBytes, seconds);
  const text =
    `in ten minutes no heap grows by ${LIVE_GROWTH_MAX_BYTES / 1e6} MB after collection, ` +
    `no process by ${RSS_GROWTH_MAX_BYTES / 1e6} MB`;
  const met = liveGrowth < LIVE_GROWTH_MAX_BYTES && rssGrowth < RSS_GROWTH_MAX_BYTES;
  return {
    figures: {
      heapGrowthBytesPerTenMinutes: Math.round(liveGrowth),
      rssGrowthBytesPerTenMinutes: Math.round(rssGrowth),
    },
    series: Object.fromEntries([
      ...load.rssBytes.map(({ of, readings }) => [
        `rss floor of ${of}, MB`,
        megabytes(floorsOf(readings, seconds / STRETCHES)),
      ]),
      ...live.map(({ of, readings }) => [
        `heap of ${of} after collection, MB`,
        megabytes(readings),
      ]),
    ]) as Readonly<Record<string, string>>,
    ...(seconds < TARGET_SECONDS_MIN ? {} : { target: { text, met } }),
  };
}

async function measure(options: RunOptions): Promise<Measurement> {
  const { seconds, warmUpSeconds, leakBytesPerSecond, note } = options;
  const liveHeapEveryMs = Math.max((seconds * 1000) / LIVE_READINGS, LIVE_INTERVAL_MIN_MS);
  const shape = { workers: 2, slots: 1, liveHeapEveryMs, leakBytesPerSecond };
  return BenchCluster.with(shape, async (cluster) => {
    note(`backpressure: sinks take ${SINK_RATE_PER_SECOND} records/s each for ${seconds} s`);
    const jobId = await cluster.submit('passthrough.ts', {
      sinkRate: String(SINK_RATE_PER_SECOND),
    });
    await cluster.watch(warmUpSeconds);
    const load = await cluster.watch(seconds);
    await cluster.checkRunning(jobId);
    const live = await cluster.liveHeaps(load);
    const rate = await rateBetween(cluster.tallyFolder, load.fromMs, load.toMs);
    const { history } = await cluster.client.checkpoints(jobId);
    const checkpointMs = history.flatMap(({ durationMs }) => durationMs ?? []);
    await cluster.stop(jobId);
    const proof = proveSplitSums(await readTallies<SplitSums>(cluster.tallyFolder));
    await cluster.close();
    const raw = await runRawLoop('passthrough', proof.counts);
    if (!isDeepStrictEqual(splitSumsOf(raw.sums), proof.sums)) {
      throw new Error(
        'backpressure: records were lost or doubled; the tallies are not the input’s',
      );
    }
    const memory = memoryOf(load, live, seconds);
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
      ...memory,
      figures: {
        ...memory.figures,
        checkpointMsMedian: median(checkpointMs),
        checkpointMsMax: Math.max(...checkpointMs),
      },
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
