/**
 * A standalone Flink for one measurement: a JobManager and TaskManagers as processes on loopback, with
 * the memory that Flink's own scripts would compute. It is always closed, and its folder removed.
 */
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import type { FlinkBuild } from './flink-build.js';
import { FlinkClient, type FlinkCheckpoint } from './flink-client.js';
import { flinkConfiguration, OPEN_PACKAGES, type FlinkSettings } from './flink-configuration.js';
import type { FlinkJobOptions } from './flink-jobs.js';
import { gcPausesIn } from './gc-log.js';
import { machineMs } from './jobs/tally-sink.js';
import { watchLoad, type LoadWindow } from './load-watch.js';
import type { MeasuredCluster } from './measured-cluster.js';
import { PeerProcess } from './peer-process.js';

const ENTRY_CLASS = 'millrace.bench.PeerJob';
const COORDINATOR_MAIN = 'org.apache.flink.runtime.entrypoint.StandaloneSessionClusterEntrypoint';
const WORKER_MAIN = 'org.apache.flink.runtime.taskexecutor.TaskManagerRunner';
const CLI_MAIN = 'org.apache.flink.client.cli.CliFrontend';
const MEMORY_MAIN = 'org.apache.flink.runtime.util.bash.BashJavaUtils';

const START_TIMEOUT_MS = 60_000;
const JOB_TIMEOUT_MS = 600_000;
const POLL_MS = 50;

export interface FlinkClusterOptions extends FlinkSettings {
  readonly build: FlinkBuild;
  readonly workers: number;
}

export interface FlinkSubmitOptions {
  /** Where the tallies go; the cluster's own folder unless told. */
  readonly folder?: string;
  /** What the job asks for behind its folder and interval. */
  readonly more?: readonly (string | number)[];
}

/** Flags of the Java process and arguments of its main class. */
interface MemorySettings {
  readonly jvm: readonly string[];
  readonly args: readonly string[];
}

export class FlinkCluster implements MeasuredCluster {
  readonly #folder: string;
  readonly #options: FlinkClusterOptions;
  readonly #processes: PeerProcess[] = [];
  #client: FlinkClient | undefined;
  #workerMemory: MemorySettings = { jvm: [], args: [] };
  #workersStarted = 0;
  #startedMs = 0;

  private constructor(folder: string, options: FlinkClusterOptions) {
    this.#folder = folder;
    this.#options = options;
  }

  /** Runs `measure` on a fresh cluster. */
  static async with<R>(
    options: FlinkClusterOptions,
    measure: (cluster: FlinkCluster) => Promise<R>,
  ): Promise<R> {
    const folder = await mkdtemp(path.join(tmpdir(), 'millrace-bench-flink-'));
    const cluster = new FlinkCluster(folder, options);
    try {
      await cluster.#start();
      return await measure(cluster);
    } finally {
      await cluster.close();
      await rm(folder, { recursive: true, force: true });
    }
  }

  get tallyFolder(): string {
    return path.join(this.#folder, 'tally');
  }

  /** Process ids by name. */
  get processes(): ReadonlyMap<string, number> {
    return new Map(this.#processes.map(({ name, pid }) => [name, pid]));
  }

  /** When the first process was started, by the machine's monotonic clock. */
  get startedMs(): number {
    return this.#startedMs;
  }

  /** Resolves once all tasks of the job run, or have run. */
  async submit(job: FlinkJobOptions, options: FlinkSubmitOptions = {}): Promise<string> {
    const jar = await this.#rest.uploadJar(this.#options.build.jar);
    const args = this.#arguments(job, options);
    const jobId = await this.#rest.runJar(jar, ENTRY_CLASS, args, this.#parallelism);
    await this.#until('all of its tasks run', START_TIMEOUT_MS, async () => {
      const { state, vertices } = await this.#rest.job(jobId);
      if (state === 'FAILED') throw await this.#voided(jobId, state);
      // The source of a bounded job may be through before another look.
      return vertices.every(({ status }) => status === 'RUNNING' || status === 'FINISHED');
    });
    return jobId;
  }

  /** As a user does it, with `flink run`. */
  async submitByCommand(job: FlinkJobOptions, options: FlinkSubmitOptions = {}): Promise<string> {
    const { build } = this.#options;
    const { NODE_OPTIONS: _, ...env } = process.env;
    const { stdout } = await promisify(execFile)(
      'java',
      [
        ...OPEN_PACKAGES,
        `-Dlog4j.configurationFile=${build.log4jFile}`,
        ...['-cp', build.classPath, CLI_MAIN, 'run', '--detached'],
        ...['--parallelism', String(this.#parallelism), '--class', ENTRY_CLASS],
        ...[build.jar, ...this.#arguments(job, options)],
      ],
      { env: { ...env, FLINK_CONF_DIR: path.join(this.#folder, 'conf') } },
    );
    const jobId = /JobID ([0-9a-f]{32})/.exec(stdout)?.[1];
    if (jobId === undefined) throw new Error(`flink: the command names no job: ${stdout}`);
    return jobId;
  }

  /** Starts a worker more; resolves when its slots are registered. */
  async addWorker(): Promise<void> {
    this.#spawnWorker();
    await this.#untilRegistered();
  }

  /** Kills the first worker, at once. */
  killWorker(): void {
    this.#processes.find(({ name }) => name === 'worker-1')?.kill();
  }

  /** The newest that is complete; savepoints are none. Each has the next id. */
  async latestCheckpoint(jobId: string): Promise<FlinkCheckpoint | undefined> {
    const checkpoints = await this.#rest.checkpoints(jobId);
    return checkpoints
      .filter(({ status, is_savepoint }) => status === 'COMPLETED' && !is_savepoint)
      .sort((a, b) => b.id - a.id)[0];
  }

  triggerCheckpoint(jobId: string): Promise<void> {
    return this.#rest.triggerCheckpoint(jobId);
  }

  /** A job that has failed is not running, unless it may restart. */
  async checkRunning(jobId: string): Promise<void> {
    const { state } = await this.#rest.job(jobId);
    if (state !== 'RUNNING') throw await this.#voided(jobId, state);
  }

  watch(until: number | Promise<unknown>): Promise<LoadWindow> {
    return watchLoad(this.processes, until);
  }

  async stop(jobId: string): Promise<void> {
    await this.#rest.stop(jobId, path.join(this.#folder, 'savepoints'));
    await this.finished(jobId);
  }

  async finished(jobId: string): Promise<void> {
    await this.#until('the job has finished', JOB_TIMEOUT_MS, async () => {
      const { state } = await this.#rest.job(jobId);
      if (state === 'FAILED') throw await this.#voided(jobId, state);
      return state === 'FINISHED';
    });
  }

  async close(): Promise<void> {
    await Promise.all(this.#processes.map((process) => process.close()));
  }

  async gcSeconds({ fromMs, toMs }: LoadWindow): Promise<number> {
    const names = (await readdir(this.#folder)).filter((name) => name.startsWith('gc-'));
    const logs = await Promise.all(
      names.map((name) => readFile(path.join(this.#folder, name), 'utf8')),
    );
    const pausedMs = logs
      .flatMap(gcPausesIn)
      .filter(({ atMs }) => atMs >= fromMs && atMs < toMs)
      .reduce((sum, { durationMs }) => sum + durationMs, 0);
    return pausedMs / 1000;
  }

  get #rest(): FlinkClient {
    if (this.#client === undefined) throw new Error('flink: the cluster has not been started');
    return this.#client;
  }

  get #parallelism(): number {
    return this.#options.workers * this.#options.slots;
  }

  #arguments(
    { job, checkpointIntervalMs }: FlinkJobOptions,
    { folder = this.tallyFolder, more = [] }: FlinkSubmitOptions,
  ): readonly string[] {
    return [job, folder, String(checkpointIntervalMs), ...more.map(String)];
  }

  async #start(): Promise<void> {
    const { workers } = this.#options;
    const ports = { rest: await freePort(), rpc: await freePort() };
    await mkdir(path.join(this.#folder, 'conf'));
    await writeFile(
      path.join(this.#folder, 'conf', 'config.yaml'),
      flinkConfiguration(this.#options, this.#folder, ports),
    );
    this.#client = new FlinkClient(`127.0.0.1:${ports.rest}`);
    const coordinatorMemory = await this.#memory('GET_JM_RESOURCE_PARAMS');
    this.#workerMemory = await this.#memory('GET_TM_RESOURCE_PARAMS');
    this.#startedMs = machineMs();
    this.#spawn('coordinator', COORDINATOR_MAIN, coordinatorMemory);
    // A worker that comes first misses the coordinator and waits ten seconds for its second try.
    await this.#until('the coordinator answers', START_TIMEOUT_MS, () =>
      this.#rest.slots().then(
        () => true,
        () => false,
      ),
    );
    for (let worker = 1; worker <= workers; worker++) this.#spawnWorker();
    await this.#untilRegistered();
  }

  #spawnWorker(): void {
    this.#spawn(`worker-${++this.#workersStarted}`, WORKER_MAIN, this.#workerMemory);
  }

  async #untilRegistered(): Promise<void> {
    const slots = this.#workersStarted * this.#options.slots;
    await this.#until('all workers are registered', START_TIMEOUT_MS, async () => {
      return (await this.#rest.slots()) === slots;
    });
  }

  /** Asks Flink what its scripts would give a process. */
  async #memory(command: string): Promise<MemorySettings> {
    const { stdout } = await promisify(execFile)('java', [
      ...['-cp', this.#options.build.classPath, MEMORY_MAIN, command],
      ...['--configDir', path.join(this.#folder, 'conf')],
    ]);
    const [jvm = '', args = ''] = [...stdout.matchAll(/^BASH_JAVA_UTILS_EXEC_RESULT:(.*)$/gm)].map(
      (match) => match[1] ?? '',
    );
    return { jvm: words(jvm), args: words(args) };
  }

  #spawn(name: string, main: string, memory: MemorySettings): void {
    const { classPath, log4jFile } = this.#options.build;
    const folder = this.#folder;
    this.#processes.push(
      new PeerProcess(
        name,
        'java',
        [
          '-XX:+UseG1GC',
          ...memory.jvm,
          ...OPEN_PACKAGES,
          `-Xlog:gc:file=${path.join(folder, `gc-${name}.log`)}:timenanos`,
          `-Dlog4j.configurationFile=${log4jFile}`,
          ...['-cp', classPath, main, '--configDir', path.join(folder, 'conf')],
          ...memory.args,
        ],
        path.join(folder, `${name}.log`),
      ),
    );
  }

  async #until(what: string, timeoutMs: number, holds: () => Promise<boolean>): Promise<void> {
    const deadlineMs = machineMs() + timeoutMs;
    while (!(await holds())) {
      if (machineMs() > deadlineMs) {
        throw new Error(`flink: ${timeoutMs / 1000} s were not enough until ${what}`);
      }
      await delay(POLL_MS);
    }
  }

  async #voided(jobId: string, state: string): Promise<Error> {
    const cause = await this.#rest.failure(jobId);
    return new Error(`flink: the measured job is ${state}; the measurement is void (${cause})`);
  }
}

function words(text: string): readonly string[] {
  return text.trim().split(/\s+/);
}

/** A port that was free a moment ago. */
function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as AddressInfo;
      server.close(() => resolve(port));
    });
  });
}
