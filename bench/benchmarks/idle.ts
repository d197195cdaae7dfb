/** Memory of a worker and of a coordinator that have nothing to do. */
import { BenchCluster } from '../bench-cluster.js';
import { atMost, withFigureRatios } from '../figures.js';
import { FlinkCluster } from '../flink-cluster.js';
import { rssBytesOf } from '../machine-load.js';
import type { MeasuredCluster } from '../measured-cluster.js';
import type { Benchmark, Measurement, Target } from '../measurement.js';
import { unlessVoid } from '../unless-void.js';
import { others } from './throughput.js';

const WORKER_BYTES_MAX = 150e6;
/** Of coordinator and worker together. */
const RATIO_TO_FLINK_MAX = 0.4;
const SHAPE = { workers: 1, slots: 2 };

type IdleCluster = Pick<MeasuredCluster, 'watch'> & {
  readonly processes: ReadonlyMap<string, number>;
};

async function rowOf(cluster: IdleCluster, seconds: number) {
  const load = await cluster.watch(seconds);
  const rssBytes = (name: string): number => rssBytesOf(cluster.processes.get(name) ?? 0);
  const workerRssBytes = rssBytes('worker-1');
  const coordinatorRssBytes = rssBytes('coordinator');
  return {
    benchmark: 'idle',
    topology: '1x2',
    cpuSeconds: load.cpuSeconds,
    rssBytesMax: load.rssBytesMax,
    ...others(load),
    figures: {
      workerRssBytes,
      coordinatorRssBytes,
      rssBytes: workerRssBytes + coordinatorRssBytes,
    },
  };
}

/** Beside Flink its memory is the measure, alone a bound of our own. */
function targetOf(
  figures: Readonly<Record<string, number>>,
  flink: Measurement | undefined,
): Target {
  const theirs = flink?.figures?.['rssBytes'];
  return theirs === undefined
    ? atMost(`worker below ${WORKER_BYTES_MAX / 1e6} MB`, figures, {
        workerRssBytes: WORKER_BYTES_MAX,
      })
    : atMost(`at most ${RATIO_TO_FLINK_MAX} of Flink's memory`, figures, {
        rssBytes: RATIO_TO_FLINK_MAX * theirs,
      });
}

export const idle: Benchmark = {
  name: 'idle',
  description: 'memory of a worker that runs nothing',
  seconds: 5,
  run: async ({ seconds, flink: build, note }) => {
    note(`idle: ${seconds} s`);
    const ours = await BenchCluster.with(SHAPE, (cluster) => rowOf(cluster, seconds));
    const flink: Measurement | undefined =
      build === undefined
        ? undefined
        : await unlessVoid('idle flink', note, () =>
            FlinkCluster.with({ build, ...SHAPE }, async (cluster) => ({
              engine: 'flink' as const,
              engineVersion: build.version,
              ...(await rowOf(cluster, seconds)),
            })),
          );
    const target = targetOf(ours.figures, flink);
    return [
      withFigureRatios({ engine: 'millrace', ...ours, target }, flink),
      ...(flink === undefined ? [] : [flink]),
    ];
  },
};
