/**
 * A real etcd for tests: found on the PATH, or installed where that is possible, started on ports
 * that the system chose, and always ended. Without one, tests that need it are skipped and say so.
 */
import { execFileSync, spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, connect, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

export type EtcdAvailability =
  | { readonly available: true; readonly binary: string }
  | { readonly available: false; readonly reason: string };

const START_TIMEOUT_MS = 20_000;
const START_ATTEMPTS_MAX = 3;
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
    for (let attempt = 1; ; attempt += 1) {
      const [port, peerPort] = [await freePort(), await freePort()];
      const member = launch(found.binary, folder, port, peerPort);
      // Between choosing a port and binding it another process may take it: then try others.
      if (await accepts(member, port)) {
        return new EtcdService(`127.0.0.1:${port}`, found.binary, folder, peerPort, member);
      }
      member.kill('SIGKILL');
      if (attempt === START_ATTEMPTS_MAX) {
        await rm(folder, { recursive: true, force: true });
        throw new Error(`etcd did not start within ${START_TIMEOUT_MS} ms`);
      }
    }
  }

  /** SIGSTOP: it holds its connections and answers nothing. */
  freeze(): void {
    this.process.kill('SIGSTOP');
  }

  thaw(): void {
    this.process.kill('SIGCONT');
  }

  /** SIGKILL; what it acknowledged is on its disk. */
  async kill(): Promise<void> {
    if (this.process.exitCode !== null || this.process.signalCode !== null) return;
    const exited = once(this.process, 'exit');
    this.process.kill('SIGKILL');
    await exited;
  }

  /** Starts it again after `kill`, at the same endpoint, with what it had. */
  async restart(): Promise<void> {
    const port = Number(this.endpoint.split(':')[1]);
    this.process = launch(this.binary, this.folder, port, this.peerPort);
    if (!(await accepts(this.process, port))) throw new Error('etcd did not start again');
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
  const member = spawn(binary, args, { stdio: 'ignore' });
  // However this process ends, its end of the pipe closes, and that takes etcd along.
  const watchdog = spawn('sh', ['-c', `read _; kill -9 ${member.pid}`], {
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  member.once('exit', () => watchdog.kill('SIGKILL'));
  return member;
}

/** Whether the member takes connections before it exits or the time is up. */
async function accepts(member: ChildProcess, port: number): Promise<boolean> {
  const end = performance.now() + START_TIMEOUT_MS;
  while (member.exitCode === null && member.signalCode === null && performance.now() < end) {
    const socket = connect(port, '127.0.0.1');
    const connected = await Promise.race([
      once(socket, 'connect').then(() => true),
      once(socket, 'close').then(() => false),
    ]).catch(() => false);
    socket.destroy();
    if (connected) return true;
    // A process that isn't listening yet has no event to wait for.
    await delay(50);
  }
  return false;
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}
