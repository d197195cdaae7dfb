/** Reads what the tally sinks of a job wrote: committed epochs, and the traces of progress. */
import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';

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

/** Records that all sink subtasks took per second of the window. */
export async function rateBetween(folder: string, fromMs: number, toMs: number): Promise<number> {
  let rate = 0;
  for (const { points } of await readTraces(folder)) {
    const taken = countAt(points, toMs) - countAt(points, fromMs);
    if (taken === 0) {
      throw new Error(`a sink took nothing in the measured time; see its trace in ${folder}`);
    }
    rate += (taken * 1000) / (toMs - fromMs);
  }
  return rate;
}

/** Source records that all sink subtasks had taken by a time, over all attempts. */
export async function takenAt(folder: string, atMs: number): Promise<number> {
  return sumAt(await readTraces(folder), atMs);
}

function sumAt(traces: readonly Trace[], atMs: number): number {
  return traces.reduce((sum, { points }) => sum + countAt(points, atMs), 0);
}

/** The count of a trace that stood at a time: windows fire in bursts, with nothing between them. */
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
