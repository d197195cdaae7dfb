/**
 * A standalone Flink for one measurement: a JobManager and TaskManagers as processes on loopback, with
 * the memory that Flink's own scripts would compute. All options are Flink's defaults, but for what
 * is named in `configuration`. It is always closed, and its folder removed.
 */
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import type { FlinkBuild } from './flink-build.js';
import { FlinkClient } from './flink-client.js';
import type { FlinkJobOptions } from './flink-jobs.js';
import { gcPausesIn } from './gc-log.js';
import { machineMs } from './jobs/tally-sink.js';
import { watchLoad, type LoadWindow } from './load-watch.js';
import type { MeasuredCluster } from './measured-cluster.js';
import { PeerProcess } from './peer-process.js';

const ENTRY_CLASS = 'millrace.bench.PeerJob';
const COORDINATOR_MAIN = 'org.apache.flink.runtime.entrypoint.StandaloneSessionClusterEntrypoint';
const WORKER_MAIN = 'org.apache.flink.runtime.taskexecutor.TaskManagerRunner';
const MEMORY_MAIN = 'org.apache.flink.runtime.util.bash.BashJavaUtils';

const START_TIMEOUT_MS = 60_000;
const JOB_TIMEOUT_MS = 600_000;
const POLL_MS = 50;

/** Of a whole process; Flink divides it up. */
const COORDINATOR_MEMORY = '1600m';
const WORKER_MEMORY = '4096m';

/** What the distribution's conf/config.yaml gives every process on Java 17. */
const OPEN_PACKAGES = [
  ...['management/sun.management', 'rmi/sun.rmi.registry'].map((name) => `exports=java.${name}`),
  ...['api', 'file', 'parser', 'tree', 'util'].map(
    (name) => `exports=jdk.compiler/com.sun.tools.javac.${name}`,
  ),
  'exports=java.security.jgss/sun.security.krb5',
  ...[
    ...['java.lang', 'java.net', 'java.io', 'java.nio', 'sun.nio.ch', 'java.lang.reflect'],
    ...['java.text', 'java.time', 'java.util', 'java.util.concurrent'],
    ...['java.util.concurrent.atomic', 'java.util.concurrent.locks'],
  ].map((name) => `opens=java.base/${name}`),
].map((name) => `--add-${name}=ALL-UNNAMED`);

export interface FlinkClusterOptions {
  readonly build: FlinkBuild;
  readonly workers: number;
  /** Slots of each worker. */
  readonly slots: number;
  /** `hashmap` unless told. */
  readonly stateBackend?: FlinkJobOptions['stateBackend'];
}

export interface FlinkSubmitOptions {
  readonly checkpointIntervalMs: number;
  /** Where the tallies go; the cluster's own folder unless told. */
  readonly folder?: string;
  /** Of a bounded job. */
  readonly events?: number;
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

  /** @param job a name that PeerJob knows */
  async submit(job: string, options: FlinkSubmitOptions): Promise<string> {
    const { build, workers, slots } = this.#options;
    const { checkpointIntervalMs, folder = this.tallyFolder, events } = options;
    const jar = await this.#rest.uploadJar(build.jar);
    const args = [job, folder, String(checkpointIntervalMs)];
    if (events !== undefined) args.push(String(events));
    const parallelism = workers * slots;
    const jobId = await this.#rest.runJar(jar, ENTRY_CLASS, args, parallelism);
    await this.#until('all of its tasks run', START_TIMEOUT_MS, async () => {
      const { state, vertices } = await this.#rest.job(jobId);
      if (state === 'FAILED') throw await this.#voided(jobId, state);
      // The source of a bounded job may be through before another look.
      return vertices.every(({ status }) => status === 'RUNNING' || status === 'FINISHED');
    });
    return jobId;
  }

  /** A job that fails is not restarted. */
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

  async #start(): Promise<void> {
    const { workers, slots } = this.#options;
    const restPort = await freePort();
    await mkdir(path.join(this.#folder, 'conf'));
    await writeFile(
      path.join(this.#folder, 'conf', 'config.yaml'),
      this.#configuration(restPort, await freePort()),
    );
    this.#client = new FlinkClient(`127.0.0.1:${restPort}`);
    const coordinatorMemory = await this.#memory('GET_JM_RESOURCE_PARAMS');
    const memory = await this.#memory('GET_TM_RESOURCE_PARAMS');
    this.#startedMs = machineMs();
    this.#spawn('coordinator', COORDINATOR_MAIN, coordinatorMemory);
    // A worker that comes first misses the coordinator and waits ten seconds for its second try.
    await this.#until('the coordinator answers', START_TIMEOUT_MS, () =>
      this.#rest.slots().then(
        () => true,
        () => false,
      ),
    );
    for (let worker = 1; worker <= workers; worker++) {
      this.#spawn(`worker-${worker}`, WORKER_MAIN, memory);
    }
    await this.#until('all workers are registered', START_TIMEOUT_MS, async () => {
      return (await this.#rest.slots()) === workers * slots;
    });
  }

  #configuration(restPort: number, rpcPort: number): string {
    const { slots, stateBackend = 'hashmap' } = this.#options;
    const folder = (name: string): string => path.join(this.#folder, name);
    return Object.entries({
      'jobmanager.rpc.address': '127.0.0.1',
      'jobmanager.rpc.port': rpcPort,
      'jobmanager.bind-host': '127.0.0.1',
      'jobmanager.memory.process.size': COORDINATOR_MEMORY,
      'taskmanager.host': '127.0.0.1',
      'taskmanager.bind-host': '127.0.0.1',
      'taskmanager.memory.process.size': WORKER_MEMORY,
      'taskmanager.numberOfTaskSlots': slots,
      'rest.address': '127.0.0.1',
      'rest.port': restPort,
      'io.tmp.dirs': folder('tmp'),
      'web.upload.dir': folder('jars'),
      'state.backend.type': stateBackend,
      'execution.checkpointing.incremental': true,
      'execution.checkpointing.dir': `file://${folder('checkpoints')}`,
      // What would fall back to Kryo is an error instead.
      'pipeline.generic-types': false,
      // Ms for which the REST API repeats what it said of a job; 3 s would hide short ones.
      'web.refresh-interval': 500,
      // A restart would void the row.
      'restart-strategy.type': 'none',
    })
      .map(([key, value]) => `${key}: ${value}\n`)
      .join('');
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
