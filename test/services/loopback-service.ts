/**
 * What tests need of any server that they start as a process of its own: a port that the system
 * chose, a process that never outlives the test, and word of when it takes connections.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { connect, createServer, type AddressInfo } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';

const START_TIMEOUT_MS = 60_000;
const START_ATTEMPTS_MAX = 3;

export interface StartedService {
  readonly process: ChildProcess;
  /** As many as were asked for; the service takes connections on the first. */
  readonly ports: readonly number[];
}

/** Starts a service on free ports of the loopback address. */
export async function startService(
  name: string,
  portCount: number,
  launch: (ports: readonly number[]) => ChildProcess,
): Promise<StartedService> {
  for (let attempt = 1; attempt <= START_ATTEMPTS_MAX; attempt += 1) {
    const ports = await freePorts(portCount);
    const process = launch(ports);
    // Between choosing a port and binding it another process may take it: then try others.
    if (await takesConnections(process, ports[0] ?? 0)) return { process, ports };
    process.kill('SIGKILL');
  }
  throw new Error(`${name} did not start within ${START_TIMEOUT_MS} ms`);
}

/** A process that ends with this one, however that ends. */
export function spawnGuarded(binary: string, args: readonly string[]): ChildProcess {
  const guarded = spawn(binary, args, { stdio: 'ignore' });
  // Our end of the pipe closes when we end, and that takes it along.
  const watchdog = spawn('sh', ['-c', `read _; kill -9 ${guarded.pid}`], {
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  guarded.once('exit', () => watchdog.kill('SIGKILL'));
  return guarded;
}

/** SIGKILL; resolves once it is gone. */
export async function killService(process: ChildProcess): Promise<void> {
  if (process.exitCode !== null || process.signalCode !== null) return;
  const exited = once(process, 'exit');
  process.kill('SIGKILL');
  await exited;
}

/** Whether the process takes connections before it exits or the time is up. */
export async function takesConnections(process: ChildProcess, port: number): Promise<boolean> {
  const end = performance.now() + START_TIMEOUT_MS;
  while (process.exitCode === null && process.signalCode === null && performance.now() < end) {
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

/** Different ports that nobody listens on now; nothing keeps them. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer().listen(0, '127.0.0.1'));
  await Promise.all(servers.map((server) => once(server, 'listening')));
  const ports = servers.map((server) => (server.address() as AddressInfo).port);
  const closed = servers.map((server) => once(server, 'close'));
  for (const server of servers) server.close();
  await Promise.all(closed);
  return ports;
}
