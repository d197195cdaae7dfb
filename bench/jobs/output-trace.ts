/**
 * The trace of progress that a tally sink leaves, for jobs that end in another sink: lines `ms count` with times of
 * the machine's monotonic clock, in a file for each thread.
 */
import { appendFileSync, mkdirSync } from 'node:fs';
import path from 'node:path';
import { threadId } from 'node:worker_threads';
import { machineMs } from './tally-sink.js';

const TRACE_INTERVAL_MS = 50;
/** Reading the clock for every record would be measured too. */
const CLOCK_EVERY_RECORDS = 256;

/** @returns to be called for each record, with how many source records it stands for */
export function outputTrace(folder: string): (weight: number) => void {
  const file = path.join(folder, `trace-output-${process.pid}-${threadId}-1`);
  let count = 0;
  let untilClock = 0;
  let tracedMs = -Infinity;
  return (weight) => {
    count += weight;
    if (--untilClock > 0) return;
    untilClock = CLOCK_EVERY_RECORDS;
    const nowMs = machineMs();
    if (nowMs - tracedMs < TRACE_INTERVAL_MS) return;
    tracedMs = nowMs;
    mkdirSync(folder, { recursive: true });
    appendFileSync(file, `${nowMs.toFixed(3)} ${count}\n`);
  };
}
