/** Memory of a worker and of a coordinator that have nothing to do. */
import { BenchCluster } from '../bench-cluster.js';
import type { FlinkBuild } from '../flink-build.js';
import { FlinkCluster } from '../flink-cluster.js';
import { rssBytesOf } from '../machine-load.js';
import type { Benchmark, Measurement } from '../measurement.js';
import { others } from './throughput.js';

const WORKER_BYTES_MAX = 150e6;

async function measureOurs(seconds: number): Promise<Measurement> {
  return BenchCluster.with({ workers: 1, slots: 2 }, async (cluster) => {
    const load = await cluster.watch(seconds);
    const figures = figuresOf(cluster.processes);
    return {
      benchmark: 'idle',
      topology: '1x2',
      engine: 'millrace',
      cpuSeconds: load.cpuSeconds,
      rssBytesMax: load.rssBytesMax,
      ...others(load),
      figures,
      target: {
        text: `worker below ${WORKER_BYTES_MAX / 1e6} MB`,
        met: figures.workerRssBytes < WORKER_BYTES_MAX,
      },
    };
  });
}

async function measureFlink(seconds: number, build: FlinkBuild): Promise<Measurement> {
  return FlinkCluster.with({ build, workers: 1, slots: 2 }, async (cluster) => {
    const load = await cluster.watch(seconds);
    return {
      benchmark: 'idle',
      topology: '1x2',
      engine: 'flink',
      engineVersion: build.version,
      cpuSeconds: load.cpuSeconds,
      rssBytesMax: load.rssBytesMax,
      ...others(load),
      figures: figuresOf(cluster.processes),
    };
  });
}

function figuresOf(processes: ReadonlyMap<string, number>): {
  readonly workerRssBytes: number;
  readonly coordinatorRssBytes: number;
} {
  return {
    workerRssBytes: rssBytesOf(processes.get('worker-1') ?? 0),
    coordinatorRssBytes: rssBytesOf(processes.get('coordinator') ?? 0),
  };
}

export const idle: Benchmark = {
  name: 'idle',
  description: 'memory of a worker that runs nothing',
  seconds: 5,
  run: async ({ seconds, flink, note }) => {
    note(`idle: ${seconds} s`);
    const ours = await measureOurs(seconds);
    return flink === undefined ? [ours] : [ours, await measureFlink(seconds, flink)];
  },
};
