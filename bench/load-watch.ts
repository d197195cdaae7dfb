/**
 * Watches the load of processes for a while: their CPU time and memory, and what others took of the
 * machine meanwhile. It knows nothing of what the processes do.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { machineMs } from './jobs/tally-sink.js';
import { otherLoad, readLoad, rssBytesOf } from './machine-load.js';
import { FOREIGN_CORES_MAX } from './measurement.js';
import type { MemoryReading } from './memory-growth.js';

const SAMPLE_INTERVAL_MS = 250;

/** Memory of one process, or of one thread's heap, over a stretch of time. */
export interface MemorySeries {
  /** `coordinator`, `worker-1`; of a thread `worker-1 main`, `worker-1 slot 1`. */
  readonly of: string;
  readonly readings: readonly MemoryReading[];
}

/** Load of all processes over a stretch of time. */
export interface LoadWindow {
  /** By the machine's monotonic clock. */
  readonly fromMs: number;
  readonly toMs: number;
  readonly cpuSeconds: number;
  /** Cores that other processes, and other machines on the same host, took. */
  readonly foreignCores: number;
  /** The part of it that the host took: time in which a core of ours was ready and did not run. */
  readonly stealCores: number;
  readonly noisy: boolean;
  /** Of all processes together. */
  readonly rssBytesMax: number;
  readonly rssBytes: readonly MemorySeries[];
}

/**
 * @param pids process ids by names that stay the same from run to run
 * @param until for how many seconds, or until it resolves
 */
export async function watchLoad(
  pids: ReadonlyMap<string, number>,
  until: number | Promise<unknown>,
): Promise<LoadWindow> {
  const over = new AbortController();
  const done = typeof until === 'number' ? delay(until * 1000) : until;
  const stop = (): void => over.abort();
  done.then(stop, stop);
  const processes = [...pids].map(([of, pid]) => ({
    of,
    pid,
    readings: new Array<MemoryReading>(),
  }));
  let rssBytesMax = 0;
  const fromMs = machineMs();
  const before = readLoad([...pids.values()]);
  while (!over.signal.aborted) {
    const now = machineMs();
    let sum = 0;
    for (const { pid, readings } of processes) {
      const bytes = rssBytesOf(pid);
      readings.push([(now - fromMs) / 1000, bytes]);
      sum += bytes;
    }
    rssBytesMax = Math.max(rssBytesMax, sum);
    await delay(SAMPLE_INTERVAL_MS, undefined, { signal: over.signal }).catch(() => undefined);
  }
  await done;
  const after = readLoad([...pids.values()]);
  const { foreignCores, stealCores } = otherLoad(before, after);
  return {
    fromMs,
    toMs: machineMs(),
    cpuSeconds: after.cpuSeconds - before.cpuSeconds,
    foreignCores,
    stealCores,
    noisy: foreignCores > FOREIGN_CORES_MAX,
    rssBytesMax,
    rssBytes: processes.map(({ of, readings }) => ({ of, readings })),
  };
}
