/**
 * What a record and a barrier cost as slots are added: the keyed exchange on one, two and four slots of a
 * cluster, and simulated with up to 512 subtasks.
 */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { BenchCluster } from '../bench-cluster.js';
import type { SplitSums } from '../jobs/prefix-tally.js';
import { otherLoad, readLoad } from '../machine-load.js';
import {
  FOREIGN_CORES_MAX,
  type Benchmark,
  type Measurement,
  type RunOptions,
} from '../measurement.js';
import type { SimulatedScale } from '../scale-simulation-main.js';
import { proveSplitSums, splitSumsOf } from './passthrough.js';
import { others, runCourse, shapeOf } from './throughput.js';

/** Workers x slots of each. */
const SHAPES = ['1x1', '1x2', '2x1', '2x2'];

const SIMULATION_MAIN = fileURLToPath(new URL('../scale-simulation-main.js', import.meta.url));

interface Simulation {
  readonly mode: 'one' | 'all';
  readonly subtasks: number;
  readonly records: number;
  readonly checkpoints: number;
}

const SIMULATIONS: readonly Simulation[] = [
  { mode: 'one', subtasks: 1, records: 2_000_000, checkpoints: 200 },
  { mode: 'one', subtasks: 8, records: 2_000_000, checkpoints: 200 },
  { mode: 'one', subtasks: 64, records: 2_000_000, checkpoints: 200 },
  { mode: 'one', subtasks: 512, records: 2_000_000, checkpoints: 50 },
  { mode: 'all', subtasks: 1, records: 262_144, checkpoints: 50 },
  { mode: 'all', subtasks: 8, records: 262_144, checkpoints: 20 },
  { mode: 'all', subtasks: 64, records: 262_144, checkpoints: 5 },
  // One record for each of 262,144 channels.
  { mode: 'all', subtasks: 512, records: 262_144, checkpoints: 1 },
];

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

/** A process of its own for each: its memory is what is reported, and its compilers have met nothing else. */
async function simulate(simulation: Simulation, { note }: RunOptions): Promise<Measurement> {
  const { mode, subtasks, records, checkpoints } = simulation;
  const topology = mode === 'one' ? `one of ${subtasks}` : `all ${subtasks}, one thread`;
  note(`scale-out: ${topology}`);
  const { NODE_OPTIONS: _, ...env } = process.env;
  const before = readLoad([]);
  const args = [SIMULATION_MAIN, mode, subtasks, records, checkpoints].map(String);
  const { stdout } = await promisify(execFile)(process.execPath, args, { env });
  const { processCpuSeconds, rssBytesMax, ...figures } = JSON.parse(stdout) as SimulatedScale;
  const load = otherLoad(before, { ...readLoad([]), cpuSeconds: processCpuSeconds });
  return {
    benchmark: 'scale-out',
    topology,
    engine: 'millrace',
    cpuSeconds: processCpuSeconds,
    rssBytesMax,
    records: figures.records,
    ...others({ ...load, noisy: load.foreignCores > FOREIGN_CORES_MAX }),
    figures: { subtasks, ...figures },
  };
}

export const scaleOut: Benchmark = {
  name: 'scale-out',
  description:
    'cost of a record on 1, 2 and 4 slots; simulated, of a record and a barrier on up to 512 subtasks',
  seconds: 10,
  run: async (options) => {
    const measurements: Measurement[] = [];
    for (const topology of SHAPES) measurements.push(await measure(topology, options));
    for (const simulation of SIMULATIONS) measurements.push(await simulate(simulation, options));
    return measurements;
  },
};
