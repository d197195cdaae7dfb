/**
 * A cluster for one measurement: real processes on a temporary folder, one job submitted to it, and
 * readings of its load. It is always closed, and its folder removed.
 */
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { RestClient } from '../api/rest/client.js';
import { TERMINAL_STATUSES, type JobDetails } from '../api/rest/job-dto.js';
import { createBundle } from '../cli/bundler.js';
import { MALLOC_SETTINGS, type ClusterProcess } from '../cli/cluster-process.js';
import { startEmbeddedCluster, type EmbeddedCluster } from '../cli/embedded-cluster.js';
import { systemClock } from '../process/system-clock.js';
import type { GcPauses } from './probe.js';
import { machineMs } from './jobs/tally-sink.js';
import { watchLoad, type LoadWindow, type MemorySeries } from './load-watch.js';
import type { MeasuredCluster } from './measured-cluster.js';

const PACKAGE_ROOT = fileURLToPath(new URL('../../', import.meta.url));
const PROBE = new URL('./probe.js', import.meta.url).href;
/** A bounded job may take minutes on a busy machine. */
const JOB_TIMEOUT_MS = 600_000;
const POLL_MS = 50;

export interface BenchClusterOptions {
  readonly workers: number;
  readonly slots: number;
  /** Start CPU profiles this long after each thread's start, ms. */
  readonly profileAfterMs?: number;
  /** Collect all garbage that often and note what is left in each thread, ms. */
  readonly liveHeapEveryMs?: number;
  /** Leak so much in each slot's thread. */
  readonly leakBytesPerSecond?: number;
}

export class BenchCluster implements MeasuredCluster {
  readonly folder: string;
  readonly cluster: EmbeddedCluster;
  readonly client: RestClient;

  /** When the first process was started, by the machine's monotonic clock. */
  readonly startedMs: number;

  private constructor(folder: string, cluster: EmbeddedCluster, startedMs: number) {
    this.folder = folder;
    this.startedMs = startedMs;
    this.cluster = cluster;
    this.client = new RestClient({ address: cluster.rest });
  }

  /** Runs `measure` on a fresh cluster. */
  static async with<R>(
    options: BenchClusterOptions,
    measure: (cluster: BenchCluster) => Promise<R>,
  ): Promise<R> {
    const folder = await mkdtemp(path.join(tmpdir(), 'millrace-bench-'));
    // Children inherit the environment; they are started before the next measurement changes it.
    process.env['NODE_OPTIONS'] = `--import ${PROBE}`;
    process.env['MILLRACE_BENCH_PROBE'] = path.join(folder, 'probe');
    for (const [name, value] of Object.entries(MALLOC_SETTINGS)) process.env[name] ??= value;
    setVariable('MILLRACE_BENCH_PROFILE_AFTER_MS', options.profileAfterMs);
    setVariable('MILLRACE_BENCH_LIVE_HEAP_EVERY_MS', options.liveHeapEveryMs);
    setVariable('MILLRACE_BENCH_LEAK_BYTES_PER_SECOND', options.leakBytesPerSecond);
    try {
      const { workers, slots } = options;
      const dataDir = path.join(folder, 'data');
      const startedMs = machineMs();
      const embedded = await startEmbeddedCluster({ workers, slots, dataDir, clock: systemClock });
      try {
        return await measure(new BenchCluster(folder, embedded, startedMs));
      } finally {
        await embedded.close();
      }
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  }

  /** Where the job's tallies go. */
  get tallyFolder(): string {
    return path.join(this.folder, 'tally');
  }

  get probeFolder(): string {
    return path.join(this.folder, 'probe');
  }

  get workers(): readonly ClusterProcess[] {
    return this.cluster.workers;
  }

  /** Process ids by names that stay the same from run to run. */
  get processes(): ReadonlyMap<string, number> {
    return new Map([
      ['coordinator', this.cluster.coordinatorPid],
      ...this.workers.map(({ pid }, index) => [`worker-${index + 1}`, pid] as const),
    ]);
  }

  /** @param file name of a job in bench/jobs */
  async submit(
    file: string,
    params: Readonly<Record<string, string>> = {},
    parallelism = 2,
  ): Promise<string> {
    const archive = await bundleOf(file, { folder: this.tallyFolder, ...params });
    return this.submitBundle(archive, parallelism);
  }

  async submitBundle(archive: Uint8Array, parallelism: number): Promise<string> {
    const { bundleId } = await this.client.uploadBundle(archive);
    return (await this.client.submitJob({ bundleId, parallelism })).jobId;
  }

  /** Stops the sources at a barrier and waits until all before it is in the tallies. */
  async stop(jobId: string): Promise<void> {
    const { savepointId } = await this.client.stopWithSavepoint(jobId);
    try {
      await this.finished(jobId);
    } catch (error) {
      const { status, failure } = await this.client.savepoint(jobId, savepointId);
      throw new Error(`the savepoint is ${status} ${failure ?? ''}`, { cause: error });
    }
  }

  async finished(jobId: string): Promise<void> {
    await this.#until(jobId, 'FINISHED');
  }

  /** Resolves once all tasks of the job run. */
  async running(jobId: string): Promise<void> {
    await this.#until(jobId, 'RUNNING');
  }

  /** @throws Error when the job is not RUNNING, or was restarted more often than expected */
  async checkRunning(jobId: string, restarts = 0): Promise<void> {
    const job = await this.client.job(jobId);
    if (job.status !== 'RUNNING' || job.restarts > restarts) throw unfinished(job);
  }

  /** Watches the cluster's load for a while. */
  watch(until: number | Promise<unknown>): Promise<LoadWindow> {
    return watchLoad(this.processes, until);
  }

  /** What each thread held after collections during the window. */
  async liveHeaps({ fromMs, toMs }: LoadWindow): Promise<readonly MemorySeries[]> {
    const series: MemorySeries[] = [];
    for (const [process, pid] of this.processes) {
      const prefix = `live-${pid}-`;
      const files = (await readdir(this.probeFolder)).filter((name) => name.startsWith(prefix));
      for (const file of files.sort()) {
        const thread = file.slice(prefix.length);
        const text = await readFile(path.join(this.probeFolder, file), 'utf8');
        series.push({
          of: `${process} ${thread === '0' ? 'main' : `slot ${thread}`}`,
          readings: text
            .trim()
            .split('\n')
            .map((line) => line.split(' ').map(Number))
            .filter(([atMs = 0]) => atMs >= fromMs && atMs < toMs)
            .map(([atMs = 0, bytes = 0]) => [(atMs - fromMs) / 1000, bytes]),
        });
      }
    }
    return series;
  }

  /** Ends all processes, so that their probes write what they saw. */
  async close(): Promise<void> {
    await this.cluster.close();
  }

  /** Seconds that threads stood in garbage collection during the window; call after close. */
  async gcSeconds({ fromMs, toMs }: LoadWindow): Promise<number> {
    const names = (await readdir(this.probeFolder)).filter((name) => name.startsWith('gc-'));
    let pausedMs = 0;
    for (const name of names) {
      const text = await readFile(path.join(this.probeFolder, name), 'utf8');
      for (const [startMs, durationMs] of (JSON.parse(text) as GcPauses).pauses) {
        if (startMs >= fromMs && startMs < toMs) pausedMs += durationMs;
      }
    }
    return pausedMs / 1000;
  }

  /** @throws Error when the job ends in another status, or takes too long */
  async #until(jobId: string, status: JobDetails['status']): Promise<void> {
    const deadlineMs = machineMs() + JOB_TIMEOUT_MS;
    for (;;) {
      const job = await this.client.job(jobId);
      if (job.status === status) return;
      if (TERMINAL_STATUSES.has(job.status) || machineMs() > deadlineMs) throw unfinished(job);
      await delay(POLL_MS);
    }
  }
}

/** The archive of a job in bench/jobs. */
export async function bundleOf(
  file: string,
  params: Readonly<Record<string, string>>,
): Promise<Uint8Array> {
  const bundle = await createBundle({
    file: path.join('bench', 'jobs', file),
    params,
    workingFolder: PACKAGE_ROOT,
  });
  return bundle.archive;
}

function setVariable(name: string, value: number | undefined): void {
  if (value === undefined) delete process.env[name];
  else process.env[name] = String(value);
}

function unfinished(job: JobDetails): Error {
  const causes = job.failures.map((failure) => `${failure.code}: ${failure.message}`).join('; ');
  return new Error(
    `the measured job is ${job.status} after ${job.restarts} restarts${causes === '' ? '' : ` (${causes})`}; the measurement is void`,
  );
}
