/**
 * A real etcd for tests: found on the PATH, or installed where that is possible, started on ports
 * that the system chose, and always ended. Without one, tests that need it are skipped and say so.
 */
import { execFileSync, spawnSync, type ChildProcess } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  killService,
  spawnGuarded,
  startService,
  takesConnections,
  type StartedService,
} from './loopback-service.js';

export type EtcdAvailability =
  | { readonly available: true; readonly binary: string }
  | { readonly available: false; readonly reason: string };

const INSTALL_TIMEOUT_MS = 180_000;

let availability: EtcdAvailability | undefined;

/** Whether tests can run an etcd here; the first call may install one. */
export function etcdAvailability(): EtcdAvailability {
  availability ??= findEtcd() ?? installEtcd();
  return availability;
}

function findEtcd(): EtcdAvailability | undefined {
  const found = spawnSync('sh', ['-c', 'command -v etcd'], { encoding: 'utf8' });
  const binary = found.status === 0 ? found.stdout.trim() : '';
  return binary === '' ? undefined : { available: true, binary };
}

function installEtcd(): EtcdAvailability {
  const missing = 'there is no etcd on the PATH';
  if (process.getuid?.() !== 0 || !existsSync('/etc/debian_version')) {
    const reason = `${missing}, and only root on Debian can install one here`;
    return { available: false, reason };
  }
  const script =
    'apt-get update && apt-get install -y --no-install-recommends etcd-server etcd-client';
  try {
    execFileSync('sh', ['-c', script], {
      env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
      stdio: 'ignore',
      timeout: INSTALL_TIMEOUT_MS,
    });
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    return { available: false, reason: `${missing}, and installing it failed: ${why}` };
  }
  return findEtcd() ?? { available: false, reason: `${missing}, not even after installing it` };
}

/** A running etcd of one member. */
export class EtcdService {
  private constructor(
    readonly endpoint: string,
    private readonly binary: string,
    private readonly folder: string,
    private readonly peerPort: number,
    private process: ChildProcess,
  ) {}

  static async start(): Promise<EtcdService> {
    const found = etcdAvailability();
    if (!found.available) throw new Error(found.reason);
    const folder = await mkdtemp(join(tmpdir(), 'millrace-etcd-'));
    let started: StartedService;
    try {
      started = await startService('etcd', 2, ([port = 0, peerPort = 0]) =>
        launch(found.binary, folder, port, peerPort),
      );
    } catch (error) {
      await rm(folder, { recursive: true, force: true });
      throw error;
    }
    const [port, peerPort = 0] = started.ports;
    return new EtcdService(`127.0.0.1:${port}`, found.binary, folder, peerPort, started.process);
  }

  /** SIGSTOP: it holds its connections and answers nothing. */
  freeze(): void {
    this.process.kill('SIGSTOP');
  }

  thaw(): void {
    this.process.kill('SIGCONT');
  }

  /** SIGKILL; what it acknowledged is on its disk. */
  kill(): Promise<void> {
    return killService(this.process);
  }

  /** Starts it again after `kill`, at the same endpoint, with what it had. */
  async restart(): Promise<void> {
    const port = Number(this.endpoint.split(':')[1]);
    this.process = launch(this.binary, this.folder, port, this.peerPort);
    if (!(await takesConnections(this.process, port))) throw new Error('etcd did not start again');
  }

  async stop(): Promise<void> {
    await this.kill();
    await rm(this.folder, { recursive: true, force: true });
  }
}

function launch(binary: string, folder: string, port: number, peerPort: number): ChildProcess {
  const client = `http://127.0.0.1:${port}`;
  const peer = `http://127.0.0.1:${peerPort}`;
  const flags = {
    name: 'test',
    'data-dir': folder,
    'listen-client-urls': client,
    'advertise-client-urls': client,
    'listen-peer-urls': peer,
    'initial-advertise-peer-urls': peer,
    'initial-cluster': `test=${peer}`,
    logger: 'zap',
    'log-level': 'error',
  };
  const args = Object.entries(flags).map(([flag, value]) => `--${flag}=${value}`);
  return spawnGuarded(binary, args);
}
