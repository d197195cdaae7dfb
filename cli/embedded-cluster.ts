/**
 * A whole cluster on one machine: a coordinator and workers as real child processes, started through
 * their own doors on ports that the system chooses. It restarts nothing by itself. Children hold the
 * read end of a pipe from here and end when it closes, so that nothing outlives even a kill -9.
 */
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Clock } from '../core/clock.js';
import { invariant } from '../core/errors.js';
import { createFolder } from '../storage/create-folder.js';
import { ClusterProcess, type ReadyAnnouncement } from './cluster-process.js';

const COORDINATOR_MAIN = fileURLToPath(new URL('../coordinator/main.js', import.meta.url));
const WORKER_MAIN = fileURLToPath(new URL('../worker/main.js', import.meta.url));

export interface EmbeddedClusterOptions {
  readonly workers: number;
  /** Slots of each worker. */
  readonly slots: number;
  /** Absolute path; made if it is not there. One cluster at a time may use it. */
  readonly dataDir: string;
  /** `etcd://HOST:PORT,...`; an embedded file in the data folder unless told. */
  readonly meta?: string;
  /** A folder or `s3://BUCKET/PREFIX`; a folder in the data folder unless told. */
  readonly checkpointStorage?: string;
  /** 0, the default: the system chooses. */
  readonly restPort?: number;
  readonly clock: Clock;
  /** Further flags of the two doors, such as heartbeat timeouts in tests. */
  readonly coordinatorFlags?: readonly string[];
  readonly workerFlags?: readonly string[];
  /** Called when a process ended that nobody asked to end. */
  readonly onProcessEnded?: (process: ClusterProcess) => void;
}

/** Starts a cluster and resolves once the coordinator listens and every worker is registered. */
export async function startEmbeddedCluster(
  options: EmbeddedClusterOptions,
): Promise<EmbeddedCluster> {
  await createFolder(path.join(options.dataDir, 'logs'));
  const cluster = new EmbeddedCluster(options);
  try {
    await cluster.startCoordinator();
    await Promise.all(Array.from({ length: options.workers }, () => cluster.addWorker()));
  } catch (error) {
    await cluster.close();
    throw error;
  }
  return cluster;
}

export class EmbeddedCluster {
  readonly #options: EmbeddedClusterOptions;
  #coordinator: ClusterProcess | undefined;
  #workers: ClusterProcess[] = [];
  #workersStarted = 0;
  #closing = false;

  /** Use startEmbeddedCluster. */
  constructor(options: EmbeddedClusterOptions) {
    this.#options = options;
  }

  /** HOST:PORT of the REST API; the same after restartCoordinator. */
  get rest(): string {
    return this.#ready.rest ?? '';
  }

  /** HOST:PORT at which workers reach the coordinator; the same after restartCoordinator. */
  get rpc(): string {
    return this.#ready.rpc ?? '';
  }

  get coordinatorPid(): number {
    return this.#ready.pid;
  }

  /** The workers that have not ended. */
  get workers(): readonly ClusterProcess[] {
    return this.#workers;
  }

  /** Starts a further worker and resolves once it is registered. */
  async addWorker(): Promise<ClusterProcess> {
    const number = ++this.#workersStarted;
    const name = `worker-${number}`;
    const worker = this.#spawn(name, WORKER_MAIN, [
      ...['--coordinator', this.rpc],
      ...['--slots', String(this.#options.slots)],
      ...['--data', path.join(this.#options.dataDir, 'workers', String(number))],
      ...(this.#options.workerFlags ?? []),
    ]);
    this.#workers.push(worker);
    await worker.ready();
    return worker;
  }

  /** SIGKILL, as a crash of the machine would look; resolves once the process is gone. */
  async killCoordinator(): Promise<void> {
    invariant(this.#coordinator !== undefined, 'the cluster has a coordinator');
    this.#coordinator.kill('SIGKILL');
    await this.#coordinator.ended;
  }

  /** Starts a coordinator on the same data and ports after the former one ended. */
  async restartCoordinator(): Promise<void> {
    const { rest, rpc } = this.#ready;
    await this.startCoordinator(portOf(rest), portOf(rpc));
  }

  async startCoordinator(restPort = this.#options.restPort ?? 0, rpcPort = 0): Promise<void> {
    const coordinator = this.#spawn('coordinator', COORDINATOR_MAIN, [
      ...['--data', this.#options.dataDir],
      ...['--rest-port', String(restPort)],
      ...['--rpc-port', String(rpcPort)],
      ...(this.#options.meta === undefined ? [] : ['--meta', this.#options.meta]),
      ...(this.#options.checkpointStorage === undefined
        ? []
        : ['--checkpoint-storage', this.#options.checkpointStorage]),
      ...(this.#options.coordinatorFlags ?? []),
    ]);
    this.#coordinator = coordinator;
    await coordinator.ready();
  }

  /** Ends every process, workers first, and resolves once all are gone. */
  async close(): Promise<void> {
    this.#closing = true;
    await Promise.all(this.#workers.map((worker) => worker.close()));
    await this.#coordinator?.close();
  }

  get #ready(): ReadyAnnouncement {
    const announced = this.#coordinator?.announced;
    invariant(announced !== undefined, 'the coordinator has announced its addresses');
    return announced;
  }

  #spawn(name: string, main: string, flags: readonly string[]): ClusterProcess {
    const started = new ClusterProcess({
      name,
      main,
      flags,
      logFile: path.join(this.#options.dataDir, 'logs', `${name}.log`),
      clock: this.#options.clock,
    });
    void started.ended.then(() => {
      this.#workers = this.#workers.filter((worker) => worker !== started);
      if (!this.#closing && !started.killed) this.#options.onProcessEnded?.(started);
    });
    return started;
  }
}

function portOf(address: string | undefined): number {
  return Number(address?.slice(address.lastIndexOf(':') + 1));
}
