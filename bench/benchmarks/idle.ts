/** Memory of a worker and of a coordinator that have nothing to do. */
import { BenchCluster } from '../bench-cluster.js';
import { rssBytesOf } from '../machine-load.js';
import type { Benchmark } from '../measurement.js';

const WORKER_BYTES_MAX = 150e6;

export const idle: Benchmark = {
  name: 'idle',
  description: 'memory of a worker that runs nothing',
  seconds: 5,
  run: ({ seconds, note }) =>
    BenchCluster.with({ workers: 1, slots: 2 }, async (cluster) => {
      note(`idle: ${seconds} s`);
      const load = await cluster.watch(seconds);
      const [worker] = cluster.workers;
      const workerRssBytes = worker === undefined ? 0 : rssBytesOf(worker.pid);
      return [
        {
          benchmark: 'idle',
          topology: '1x2',
          engine: 'millrace',
          cpuSeconds: load.cpuSeconds,
          rssBytesMax: load.rssBytesMax,
          foreignCores: load.foreignCores,
          noisy: load.noisy,
          figures: {
            workerRssBytes,
            coordinatorRssBytes: rssBytesOf(cluster.cluster.coordinatorPid),
          },
          target: {
            text: `worker below ${WORKER_BYTES_MAX / 1e6} MB`,
            met: workerRssBytes < WORKER_BYTES_MAX,
          },
        },
      ];
    }),
};
