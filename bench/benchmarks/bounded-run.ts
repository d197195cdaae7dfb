/**
 * One run of a job that ends by itself, on whichever engine: the first part of its records is warm-up, the rest
 * counts, up to the last that came out. What came out is for the benchmark to judge.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { machineMs } from '../jobs/tally-sink.js';
import { watchLoad } from '../load-watch.js';
import type { MeasuredCluster } from '../measured-cluster.js';
import type { Engine, Measurement, Topology } from '../measurement.js';
import { lastTraceMs } from '../tallies.js';
import { others } from './throughput.js';

/** Of the records, before anything counts: compilers get to know the job. */
const WARM_UP_SHARE = 0.4;
const WARM_UP_TIMEOUT_MS = 300_000;
const POLL_MS = 50;
/** Below it, the share of the records that was under way when the clock started is all that is seen. */
const MEASURED_MS_MIN = 2_000;

/** What both engines do. */
export interface BoundedJob {
  readonly benchmark: string;
  readonly topology: Topology;
  readonly records: number;
  /** How many of them the job is done with, as its tallies told by a time of the machine's clock. */
  readonly progressAt: (tallyFolder: string, atMs: number) => Promise<number>;
  /** Beside the cluster's. */
  readonly processes?: ReadonlyMap<string, number>;
  readonly note: (text: string) => void;
}

/** A cluster, and how the job starts on it. */
export interface BoundedStart {
  readonly engine: { readonly engine: Engine; readonly engineVersion?: string };
  readonly cluster: MeasuredCluster;
  /** Resolves with the job's id. */
  readonly start: () => Promise<string>;
  /** Called when all processes have ended. */
  readonly closed?: (recordsPerSecond: number) => Promise<void>;
}

/**
 * Leaves the cluster closed, with its folders.
 * @throws Error when the measured part is too short
 */
export async function runBounded(
  { benchmark, topology, records, progressAt, processes, note }: BoundedJob,
  { engine, cluster, start, closed }: BoundedStart,
): Promise<Measurement> {
  note(`${benchmark} ${topology} ${engine.engine}: ${records} records`);
  const { tallyFolder } = cluster;
  const jobId = await start();
  const deadlineMs = machineMs() + WARM_UP_TIMEOUT_MS;
  while ((await progressAt(tallyFolder, machineMs())) < records * WARM_UP_SHARE) {
    if (machineMs() > deadlineMs) throw new Error(`${benchmark}: no progress for minutes`);
    await delay(POLL_MS);
  }
  const pids = new Map([...cluster.processes, ...(processes ?? [])]);
  const load = await watchLoad(pids, cluster.finished(jobId));
  const measured = records - (await progressAt(tallyFolder, load.fromMs));
  // Both wait for a last checkpoint before they have finished, and Flink for the next that is due.
  const measuredMs = (await lastTraceMs(tallyFolder)) - load.fromMs;
  if (measuredMs < MEASURED_MS_MIN) {
    throw new Error(
      `${benchmark}: ${records} records leave ${Math.round(measuredMs)} ms to measure, and ` +
        `${MEASURED_MS_MIN} are needed; ask for more --seconds`,
    );
  }
  const rate = (measured * 1000) / measuredMs;
  await cluster.close();
  const gcSeconds = await cluster.gcSeconds(load);
  await closed?.(rate);
  return {
    benchmark,
    topology,
    ...engine,
    recordsPerSecond: Math.round(rate),
    recordsPerCpuSecond: Math.round(measured / load.cpuSeconds),
    cpuSeconds: load.cpuSeconds,
    rssBytesMax: load.rssBytesMax,
    gcShare: gcSeconds / load.cpuSeconds,
    records,
    ...others(load),
  };
}
