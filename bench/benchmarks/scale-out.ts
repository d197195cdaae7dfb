/**
 * What a record costs as slots are added: the keyed exchange on one, two and four slots of a cluster,
 * and Nexmark q17 on up to 64 subtasks that share one thread.
 */
import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
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
const SIMULATED_SUBTASKS = [1, 8, 64];
const SIMULATED_EVENTS = 200_000;

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

/** All in one thread; 64 subtasks have 4,096 channels between two operators. */
async function simulate({ note }: RunOptions): Promise<Measurement> {
  const folder = await mkdtemp(path.join(tmpdir(), 'millrace-bench-'));
  const { NODE_OPTIONS: _, ...env } = process.env;
  const figures: Record<string, number> = {};
  const before = readLoad([]);
  let cpuSeconds = 0;
  try {
    for (const subtasks of SIMULATED_SUBTASKS) {
      note(`scale-out: ${subtasks} subtasks in one thread`);
      const args = [SIMULATION_MAIN, String(subtasks), String(SIMULATED_EVENTS), folder];
      const { stdout } = await promisify(execFile)(process.execPath, args, { env });
      const { cpuMicrosPerRecord, emptyRunCpuMs, processCpuSeconds } = JSON.parse(
        stdout,
      ) as SimulatedScale;
      figures[`cpuMicrosPerRecord${subtasks}`] = cpuMicrosPerRecord;
      figures[`emptyRunCpuMs${subtasks}`] = emptyRunCpuMs;
      cpuSeconds += processCpuSeconds;
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
  const after = readLoad([]);
  const load = otherLoad(before, { ...after, cpuSeconds });
  return {
    benchmark: 'scale-out',
    topology: 'simulated',
    engine: 'millrace',
    cpuSeconds,
    ...others({ ...load, noisy: load.foreignCores > FOREIGN_CORES_MAX }),
    figures,
  };
}

export const scaleOut: Benchmark = {
  name: 'scale-out',
  description: 'cost of a record on 1, 2 and 4 slots, and simulated on 64 subtasks',
  seconds: 10,
  run: async (options) => {
    const measurements: Measurement[] = [];
    for (const topology of SHAPES) measurements.push(await measure(topology, options));
    measurements.push(await simulate(options));
    return measurements;
  },
};
