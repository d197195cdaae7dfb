/**
 * Many subtasks in one thread, with the tasks, channels, codecs and barriers of a cluster and no
 * processes: what a record costs when there are more channels than a machine has slots for.
 * `node scale-simulation-main.js SUBTASKS EVENTS FOLDER`; prints one line of JSON.
 */
import { runJob } from '../worker/local/run-job.js';
import job from './jobs/nexmark/q17.js';

export interface SimulatedScale {
  /** CPU to set up all tasks, drain them and take the final checkpoint, ms. */
  readonly emptyRunCpuMs: number;
  /** CPU of a record beyond that, microseconds. */
  readonly cpuMicrosPerRecord: number;
  /** Of this process, from its start. */
  readonly processCpuSeconds: number;
}

async function cpuMsOf(parallelism: number, events: number, folder: string): Promise<number> {
  const before = process.cpuUsage();
  await runJob(job, { params: { folder, events: String(events) }, parallelism });
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000;
}

async function main(): Promise<void> {
  const [, , subtasks = '1', eventsText = '1', folder = ''] = process.argv;
  const [parallelism, events] = [Number(subtasks), Number(eventsText)];
  // The first run pays for the compilers.
  await cpuMsOf(1, events, folder);
  const emptyRunCpuMs = await cpuMsOf(parallelism, 0, folder);
  const fullRunCpuMs = await cpuMsOf(parallelism, events, folder);
  const result: SimulatedScale = {
    emptyRunCpuMs,
    cpuMicrosPerRecord: ((fullRunCpuMs - emptyRunCpuMs) * 1000) / events,
    processCpuSeconds: process.cpuUsage().user / 1e6 + process.cpuUsage().system / 1e6,
  };
  process.stdout.write(`${JSON.stringify(result)}\n`);
}

await main();
