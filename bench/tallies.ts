/** Reads what the tally sinks of a job wrote: committed epochs, and the traces of progress. */
import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { machineMs } from './jobs/tally-sink.js';

/** A sink that says nothing for so long will not. */
const TRACE_TIMEOUT_MS = 120_000;
const POLL_MS = 50;

/** The committed epochs of all sink subtasks. */
export async function readTallies<C>(folder: string): Promise<C[]> {
  const names = (await readdir(folder)).filter((name) => /^tally-.*\d$/.test(name));
  return Promise.all(
    names.map(async (name) => JSON.parse(await readFile(path.join(folder, name), 'utf8')) as C),
  );
}

/** On the machine's monotonic clock; the count grows from point to point. */
export type TracePoint = readonly [ms: number, count: number];

interface Trace {
  readonly attempt: number;
  readonly points: readonly TracePoint[];
}

async function readTraces(folder: string, prefix = 'trace-'): Promise<Trace[]> {
  const names = (await readdir(folder).catch(() => [])).filter((name) => name.startsWith(prefix));
  return Promise.all(
    names.map(async (name) => ({
      attempt: Number(name.slice(name.lastIndexOf('-') + 1)),
      points: (await readFile(path.join(folder, name), 'utf8'))
        .split('\n')
        // The last line is empty, or still being written.
        .slice(0, -1)
        .map((line) => line.split(' ').map(Number) as [number, number]),
    })),
  );
}

/** Resolves when so many sink subtasks have taken something: a slow job's windows fire seldom. */
export async function allTraced(folder: string, sinks: number): Promise<void> {
  await tracesWhen(
    folder,
    (traces) => traces.filter(({ points }) => points.length > 0).length >= sinks,
  );
}

async function tracesWhen(
  folder: string,
  holds: (traces: readonly Trace[]) => boolean,
): Promise<readonly Trace[]> {
  const deadlineMs = machineMs() + TRACE_TIMEOUT_MS;
  for (;;) {
    const traces = await readTraces(folder);
    if (holds(traces)) return traces;
    if (machineMs() > deadlineMs) {
      throw new Error(`a sink has taken nothing for minutes; see its trace in ${folder}`);
    }
    await delay(POLL_MS);
  }
}

/**
 * Records that all sink subtasks took per second of the window. Windows fire in bursts with nothing
 * between them, so what lies between two words of a sink counts for all of the time between them;
 * it resolves when every sink has told of more after the window.
 *
 * @throws Error when a sink had told nothing before the window
 */
export async function rateBetween(folder: string, fromMs: number, toMs: number): Promise<number> {
  let rate = 0;
  const traces = await tracesWhen(folder, (all) =>
    all.every(({ points }) => points.some(([ms]) => ms > toMs)),
  );
  for (const { points } of traces) {
    const taken = countBetween(points, toMs) - countBetween(points, fromMs);
    if (Number.isNaN(taken)) {
      throw new Error(`a sink took nothing before the measured time; see its trace in ${folder}`);
    }
    rate += (taken * 1000) / (toMs - fromMs);
  }
  return rate;
}

/** The count at a time between two points, or NaN. */
function countBetween(points: readonly TracePoint[], atMs: number): number {
  const [fromMs, from] = points.findLast(([ms]) => ms <= atMs) ?? [NaN, NaN];
  const [toMs, to] = points.find(([ms]) => ms > atMs) ?? [NaN, NaN];
  return from + ((to - from) * (atMs - fromMs)) / (toMs - fromMs);
}

/** Source records that all sink subtasks had taken by a time, over all attempts. */
export async function takenAt(folder: string, atMs: number): Promise<number> {
  return sumAt(await readTraces(folder), atMs);
}

function sumAt(traces: readonly Trace[], atMs: number): number {
  return traces.reduce((sum, { points }) => sum + countAt(points, atMs), 0);
}

/** The count of a trace that stood at a time. */
export function countAt(points: readonly TracePoint[], atMs: number): number {
  return points.findLast(([ms]) => ms <= atMs)?.[1] ?? 0;
}

/**
 * When so many sink subtasks of a later attempt had put out their first record, on the machine's clock;
 * undefined: not yet.
 */
export async function firstRecordMs(
  folder: string,
  attempt: number,
  subtasks = 1,
): Promise<number | undefined> {
  const times = (await readTraces(folder))
    .filter((trace) => trace.attempt >= attempt)
    .flatMap(({ points }) => points[0]?.[0] ?? []);
  return times.sort((a, b) => a - b)[subtasks - 1];
}

/** What output is compared with: the mean of so long before. */
const NORMAL_BASE_MS = 5000;
const NORMAL_WINDOW_MS = 1000;
const NORMAL_SHARE = 0.8;

/**
 * When output was normal again after a disturbance, on the machine's clock: the first second that has
 * four fifths of the mean rate before; undefined: not yet.
 */
export async function normalAgainMs(
  folder: string,
  disturbedMs: number,
): Promise<number | undefined> {
  const traces = await readTraces(folder);
  const base = sumAt(traces, disturbedMs) - sumAt(traces, disturbedMs - NORMAL_BASE_MS);
  const enough = (base / NORMAL_BASE_MS) * NORMAL_WINDOW_MS * NORMAL_SHARE;
  // Output changes only where a point stands.
  const starts = traces
    .flatMap(({ points }) => points.map(([ms]) => ms))
    .filter((ms) => ms >= disturbedMs)
    .sort((a, b) => a - b);
  const last = starts.at(-1) ?? -Infinity;
  return starts.find(
    (ms) =>
      ms + NORMAL_WINDOW_MS <= last &&
      sumAt(traces, ms + NORMAL_WINDOW_MS) - sumAt(traces, ms) >= enough,
  );
}

/** Events that a bounded source had made by a time, as bench/jobs/nexmark/progress.ts notes it. */
export async function progressAt(folder: string, atMs: number): Promise<number> {
  return sumAt(await readTraces(folder, 'progress-'), atMs);
}

/** When the last word of any sink came, on the machine's clock. */
export async function lastTraceMs(folder: string): Promise<number> {
  const traces = await readTraces(folder);
  return Math.max(...traces.map(({ points }) => points.at(-1)?.[0] ?? -Infinity));
}

/** Latest attempt that wrote anything. */
export async function latestAttempt(folder: string): Promise<number> {
  return Math.max(0, ...(await readTraces(folder)).map((trace) => trace.attempt));
}
