/**
 * What a record and a barrier cost in a job of many subtasks, without the machines for them: all of its slots in one
 * thread (`all`), or one slot that stands for every other (`one`, see mirrored-subtask.ts).
 * `node scale-simulation-main.js all|one SUBTASKS RECORDS CHECKPOINTS`; prints one line of JSON. A record that
 * is lost or comes twice is an error.
 */
import { isDeepStrictEqual } from 'node:util';
import { createJobGraph } from '../core/job-graph.js';
import { LocalSlots } from '../worker/local/local-slots.js';
import job, { arrived, recordClock, scaleTransaction } from './jobs/scale.js';
import { PrefixTally } from './jobs/prefix-tally.js';
import { withFee, withTax } from './jobs/transactions.js';
import { MirroredSubtask } from './mirrored-subtask.js';

export interface SimulatedScale {
  /** CPU to build and open the tasks. */
  readonly setUpMs: number;
  /** From the first record to the last, end of the data included. */
  readonly cpuMicrosPerRecord: number;
  /** Of those that left their slot; 0 where that is not counted. */
  readonly recordsPerChunk: number;
  /** A checkpoint of the drained job, for each subtask that is there. */
  readonly barrierCpuMicrosPerSubtask: number;
  /** The same for each channel into them. */
  readonly barrierCpuMicrosPerChannel: number;
  readonly records: number;
  readonly rssBytesMax: number;
  /** Of this process, from its start. */
  readonly processCpuSeconds: number;
}

interface Simulated {
  start(): Promise<void>;
  drained(): Promise<void>;
  checkpoint(options: { readonly stopAfter: boolean }): Promise<void>;
  close(): Promise<void>;
  readonly chunks?: number;
}

function cpuMicros(): number {
  const { user, system } = process.cpuUsage();
  return user + system;
}

async function cpuMicrosOf(work: () => Promise<void>): Promise<number> {
  const before = cpuMicros();
  await work();
  return cpuMicros() - before;
}

/** All slots, or the one that reads every SUBTASKS-th record. */
function simulate(mode: string, subtasks: number, records: number): Simulated {
  const params = { records: String(records), splits: String(subtasks) };
  const built = job.build(params);
  if (mode === 'one') return new MirroredSubtask(built, subtasks, recordClock);
  return new LocalSlots({
    jobId: job.name,
    graph: createJobGraph(built.graph, subtasks),
    transformations: built.transformations,
    clock: recordClock,
    moduleFolder: '.',
    defer: setImmediate,
  });
}

function proveArrivals(records: number, stride: number): number {
  const expected = new PrefixTally();
  let count = 0;
  for (let index = 0; index < records; index += stride) {
    expected.add(withFee(withTax(scaleTransaction(index))));
    count++;
  }
  if (!isDeepStrictEqual(arrived.cut(), expected.cut())) {
    throw new Error(`not every one of ${count} records arrived once`);
  }
  return count;
}

async function run(
  mode: string,
  subtasks: number,
  records: number,
  checkpoints: number,
): Promise<SimulatedScale> {
  const present = mode === 'one' ? 1 : subtasks;
  const stride = subtasks / present;
  recordClock.restart(present);
  const simulated = simulate(mode, subtasks, records * stride);
  const setUpMicros = await cpuMicrosOf(() => simulated.start());
  const drainMicros = await cpuMicrosOf(() => simulated.drained());
  const { chunks } = simulated;
  const barrierMicros = await cpuMicrosOf(async () => {
    for (let i = 0; i < checkpoints; i++) await simulated.checkpoint({ stopAfter: false });
  });
  await simulated.checkpoint({ stopAfter: true });
  await simulated.close();
  const count = proveArrivals(records * stride, stride);
  return {
    setUpMs: setUpMicros / 1000,
    cpuMicrosPerRecord: drainMicros / count,
    // Of each N records one stays in its slot.
    recordsPerChunk:
      chunks === undefined || chunks === 0 ? 0 : (count * (1 - 1 / subtasks)) / chunks,
    barrierCpuMicrosPerSubtask: barrierMicros / checkpoints / present,
    barrierCpuMicrosPerChannel: barrierMicros / checkpoints / present / subtasks,
    records: count,
    rssBytesMax: process.resourceUsage().maxRSS * 1024,
    processCpuSeconds: cpuMicros() / 1e6,
  };
}

async function main(): Promise<void> {
  const [, , mode = 'all', ...numbers] = process.argv;
  const [subtasks = 1, records = 1, checkpoints = 1] = numbers.map(Number);
  // The first run pays for the compilers.
  await run(mode, Math.min(subtasks, 2), 100_000, 10);
  process.stdout.write(`${JSON.stringify(await run(mode, subtasks, records, checkpoints))}\n`);
}

await main();
