/**
 * What a measured thread holds on to, read after full collections at long intervals: a leak shows in
 * it long before it shows in the process's memory. Also plants one, so that the measurement can be
 * seen to catch it. Runs inside the measured threads, below the probe; must never keep readings itself.
 */
import { appendFileSync } from 'node:fs';
import path from 'node:path';
import { threadId } from 'node:worker_threads';
import { getHeapStatistics, setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** How often what leaks is allocated, ms. */
const LEAK_INTERVAL_MS = 100;
const BYTES_PER_NUMBER = 8;

/** Appends `machine ms, bytes` lines to `live-PID-THREAD` in the folder. */
export function sampleLiveHeap(folder: string, intervalMs: number): void {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  const file = path.join(folder, `live-${process.pid}-${threadId}`);
  setInterval(() => {
    // The second one collects what the first one's finalizers let go.
    collect();
    collect();
    const atMs = Number(process.hrtime.bigint()) / 1e6;
    appendFileSync(file, `${atMs.toFixed(0)} ${getHeapStatistics().used_heap_size}\n`);
  }, intervalMs).unref();
}

/** Holds on to so many bytes more each second. */
export function plantLeak(bytesPerSecond: number): void {
  const held: number[][] = [];
  const length = Math.ceil((bytesPerSecond * LEAK_INTERVAL_MS) / 1000 / BYTES_PER_NUMBER);
  setInterval(() => held.push(new Array<number>(length).fill(0.5)), LEAK_INTERVAL_MS).unref();
}
