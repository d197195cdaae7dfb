/**
 * Loaded into every thread of the measured processes (`node --import`): keeps the pauses of the
 * garbage collector and, when asked, a CPU profile, and writes both when the thread ends; samples the
 * live heap when asked. Without its variables set it does nothing.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { Session } from 'node:inspector';
import path from 'node:path';
import { PerformanceObserver, performance } from 'node:perf_hooks';
import { isMainThread, threadId } from 'node:worker_threads';
import { plantLeak, sampleLiveHeap } from './live-heap.js';

const folder = process.env['MILLRACE_BENCH_PROBE'];
const profileAfterMs = Number(process.env['MILLRACE_BENCH_PROFILE_AFTER_MS'] ?? Infinity);
const liveHeapEveryMs = Number(process.env['MILLRACE_BENCH_LIVE_HEAP_EVERY_MS'] ?? Infinity);
const leakBytesPerSecond = Number(process.env['MILLRACE_BENCH_LEAK_BYTES_PER_SECOND'] ?? 0);
const SAMPLING_US = 500;

/** What a thread leaves behind as `gc-PID-THREAD.json`. */
export interface GcPauses {
  /** Pairs of machine clock at the pause's start and its length, ms. */
  readonly pauses: readonly (readonly [startMs: number, durationMs: number])[];
}

if (folder !== undefined) observe(folder);

function observe(target: string): void {
  mkdirSync(target, { recursive: true });
  const name = `${process.pid}-${threadId}`;
  const clockOffsetMs = Number(process.hrtime.bigint()) / 1e6 - performance.now();
  const pauses: (readonly [number, number])[] = [];
  const observer = new PerformanceObserver((list) => {
    for (const { startTime, duration } of list.getEntries()) {
      pauses.push([startTime + clockOffsetMs, duration]);
    }
  });
  observer.observe({ entryTypes: ['gc'] });
  if (Number.isFinite(liveHeapEveryMs)) sampleLiveHeap(target, liveHeapEveryMs);
  if (leakBytesPerSecond > 0 && !isMainThread) plantLeak(leakBytesPerSecond);
  const profile = Number.isFinite(profileAfterMs) ? startProfile() : undefined;
  process.on('exit', () => {
    writeFileSync(path.join(target, `gc-${name}.json`), JSON.stringify({ pauses }));
    profile?.(path.join(target, `cpu-${name}.cpuprofile`));
  });
}

function startProfile(): (file: string) => void {
  const session = new Session();
  session.connect();
  session.post('Profiler.enable');
  session.post('Profiler.setSamplingInterval', { interval: SAMPLING_US });
  // Not before the load is steady, or start and compilation would fill the picture.
  setTimeout(() => session.post('Profiler.start'), profileAfterMs).unref();
  return (file) => {
    session.post('Profiler.stop', (error, result) => {
      if (error === null) writeFileSync(file, JSON.stringify(result.profile));
    });
  };
}
