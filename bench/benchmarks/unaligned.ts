/** Checkpoints under a sink so slow that the records before a barrier last for seconds. */
import type { CheckpointDetails } from '../../api/rest/checkpoint-dto.js';
import { BenchCluster } from '../bench-cluster.js';
import type { SplitSums } from '../jobs/prefix-tally.js';
import type { Benchmark, Measurement, RunOptions } from '../measurement.js';
import { readTallies } from '../tallies.js';
import { proveSplitSums } from './passthrough.js';

const SINK_RATE_PER_SECOND = 20;
const CHECKPOINT_MS_MAX = 1000;

interface Measured {
  /** Of each completed checkpoint, ms, in order. */
  readonly durationsMs: readonly number[];
  readonly unaligned: number;
  readonly inFlightBytesMax: number;
  readonly records: number;
  readonly foreignCores: number;
  readonly noisy: boolean;
}

async function measure(file: string, { seconds, note }: RunOptions): Promise<Measured> {
  return BenchCluster.with({ workers: 2, slots: 1 }, async (cluster) => {
    note(`unaligned: ${file}, sinks take ${SINK_RATE_PER_SECOND} records/s each for ${seconds} s`);
    const jobId = await cluster.submit(file, { sinkRate: String(SINK_RATE_PER_SECOND) });
    const load = await cluster.watch(seconds);
    await cluster.checkRunning(jobId);
    const { history } = await cluster.client.checkpoints(jobId);
    await cluster.stop(jobId);
    const { counts } = proveSplitSums(await readTallies<SplitSums>(cluster.tallyFolder));
    const completed = history.filter(isTimed);
    return {
      durationsMs: completed.map(({ durationMs }) => durationMs).sort((a, b) => a - b),
      unaligned: completed.filter(({ unaligned }) => unaligned).length,
      inFlightBytesMax: Math.max(0, ...completed.map(({ inFlightBytes }) => inFlightBytes)),
      records: counts.reduce((sum, count) => sum + count, 0),
      foreignCores: load.foreignCores,
      noisy: load.noisy,
    };
  });
}

function isTimed(
  checkpoint: CheckpointDetails,
): checkpoint is CheckpointDetails & { readonly durationMs: number } {
  return checkpoint.status === 'COMPLETED' && checkpoint.durationMs !== null;
}

function median(sorted: readonly number[]): number {
  return sorted[Math.floor(sorted.length / 2)] ?? NaN;
}

async function run(options: RunOptions): Promise<readonly Measurement[]> {
  const aligned = await measure('passthrough-aligned.ts', options);
  const unaligned = await measure('passthrough-unaligned.ts', options);
  const slowest = unaligned.durationsMs.at(-1) ?? Infinity;
  return [
    {
      benchmark: 'unaligned',
      topology: '2x1',
      engine: 'millrace',
      records: unaligned.records,
      foreignCores: unaligned.foreignCores,
      noisy: unaligned.noisy,
      figures: {
        alignedCompleted: aligned.durationsMs.length,
        alignedMsMedian: median(aligned.durationsMs),
        alignedMsMax: aligned.durationsMs.at(-1) ?? NaN,
        completed: unaligned.durationsMs.length,
        overtaking: unaligned.unaligned,
        checkpointMsMedian: median(unaligned.durationsMs),
        checkpointMsMax: slowest,
        inFlightBytesMax: unaligned.inFlightBytesMax,
      },
      target: {
        text: `checkpoints complete within ${CHECKPOINT_MS_MAX} ms`,
        met: unaligned.unaligned > 0 && slowest < CHECKPOINT_MS_MAX,
      },
    },
  ];
}

export const unaligned: Benchmark = {
  name: 'unaligned',
  description: 'checkpoints under a very slow sink: barriers that wait, and barriers that overtake',
  seconds: 40,
  run,
};
