/** The keyed exchange on one, two and four slots: what a record costs as slots are added. */
import { BenchCluster } from '../bench-cluster.js';
import type { SplitSums } from '../jobs/prefix-tally.js';
import type { Benchmark, Measurement, RunOptions } from '../measurement.js';
import { proveSplitSums, splitSumsOf } from './passthrough.js';
import { runCourse, shapeOf } from './throughput.js';

/** Workers x slots of each. */
const SHAPES = ['1x1', '1x2', '2x1', '2x2'];

async function measure(topology: string, options: RunOptions): Promise<Measurement> {
  const shape = shapeOf(topology);
  return BenchCluster.with(shape, async (cluster) => {
    const parallelism = shape.workers * shape.slots;
    const { measurement } = await runCourse<SplitSums>(
      { engine: 'millrace' },
      {
        benchmark: 'scale-out',
        rawLoop: 'passthrough',
        prove: proveSplitSums,
        rawSums: splitSumsOf,
      },
      topology,
      options,
      { cluster, submit: () => cluster.submit('passthrough.ts', {}, parallelism) },
    );
    return {
      ...measurement,
      figures: {
        slots: parallelism,
        cpuMicrosPerRecord: 1e6 / (measurement.recordsPerCpuSecond ?? NaN),
      },
    };
  });
}

export const scaleOut: Benchmark = {
  name: 'scale-out',
  description: 'the exchange on 1, 2 and 4 slots: cost of a record',
  seconds: 10,
  run: async (options) => {
    const measurements: Measurement[] = [];
    for (const topology of SHAPES) measurements.push(await measure(topology, options));
    return measurements;
  },
};
