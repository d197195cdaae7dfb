import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { RestClient } from '../../api/rest/client.js';
import { startEmbeddedCluster, type EmbeddedCluster } from '../../cli/embedded-cluster.js';
import type { MillraceError } from '../../core/errors.js';
import { systemClock } from '../../process/system-clock.js';
import { MILLRACE_MAIN, runMillrace } from './command-line.js';
import { isAlive } from '../is-alive.js';
import { jobFolder } from './job-folder.js';

async function start(t: ExecutionContext, dataDir: string): Promise<EmbeddedCluster> {
  const cluster = await startEmbeddedCluster({ workers: 2, slots: 1, dataDir, clock: systemClock });
  t.teardown(() => cluster.close());
  return cluster;
}

/** Asks again until it holds; the test's own timeout is the limit. */
async function until(holds: () => Promise<boolean> | boolean): Promise<void> {
  while (!(await holds())) await new Promise((resolve) => setImmediate(resolve));
}

test('a cluster is up with its workers registered, and nothing is left of it', async (t) => {
  const cluster = await start(t, await jobFolder(t, {}));
  const client = new RestClient({ address: cluster.rest });
  const { workers } = await client.workers();
  t.deepEqual(
    workers.map((worker) => worker.pid).sort(),
    cluster.workers.map((worker) => worker.pid).sort(),
  );
  const pids = [cluster.coordinatorPid, ...workers.map((worker) => worker.pid)];
  await cluster.close();
  t.deepEqual(pids.filter(isAlive), []);
});

test('a killed worker is gone, and another one can take its place', async (t) => {
  const cluster = await start(t, await jobFolder(t, {}));
  const client = new RestClient({ address: cluster.rest });
  const [victim] = cluster.workers;
  victim?.kill('SIGKILL');
  await until(async () => (await client.workers()).workers.length === 1);
  const added = await cluster.addWorker();
  t.true((await client.workers()).workers.some((worker) => worker.workerId === added.id));
  t.is(cluster.workers.length, 2);
});

test('a coordinator that was killed starts again at the same addresses, and workers return', async (t) => {
  const cluster = await start(t, await jobFolder(t, {}));
  const { rest, rpc, coordinatorPid } = cluster;
  await cluster.killCoordinator();
  await cluster.restartCoordinator();
  t.is(cluster.rest, rest);
  t.is(cluster.rpc, rpc);
  t.not(cluster.coordinatorPid, coordinatorPid);
  const client = new RestClient({ address: rest });
  await until(async () => (await client.workers()).workers.length === 2);
  t.is(cluster.workers.length, 2);
});

test('a second cluster on the same folder is refused and leaves nothing', async (t) => {
  const dataDir = await jobFolder(t, {});
  await start(t, dataDir);
  const error = await t.throwsAsync<MillraceError>(
    startEmbeddedCluster({ workers: 1, slots: 1, dataDir, clock: systemClock }),
  );
  t.is(error.code, 'STORAGE_LOCKED');
  const command = await runMillrace(['cluster', '--data', dataDir]);
  t.is(command.exitCode, 1);
  t.regex(command.stderr, /^error: STORAGE_LOCKED: /);
});

interface ClusterDocument {
  readonly rest: string;
  readonly coordinatorPid: number;
  readonly workers: readonly { readonly pid: number }[];
}

for (const { signal, exitCode } of [
  { signal: 'SIGINT', exitCode: 0 },
  { signal: 'SIGTERM', exitCode: 0 },
  { signal: 'SIGKILL', exitCode: null },
] as const) {
  test(`${signal} of millrace cluster leaves no process`, async (t) => {
    const folder = await jobFolder(t, {});
    const command = spawn(
      process.execPath,
      [MILLRACE_MAIN, 'cluster', '--workers', '1', '--data', path.join(folder, 'data'), '--json'],
      { stdio: ['ignore', 'pipe', 'inherit'] },
    );
    t.teardown(() => command.kill('SIGKILL'));
    let text = '';
    for await (const line of createInterface({ input: command.stdout })) {
      text += line;
      if (line === '}') break;
    }
    const cluster = JSON.parse(text) as ClusterDocument;
    const pids = [cluster.coordinatorPid, ...cluster.workers.map((worker) => worker.pid)];
    t.true(pids.every(isAlive));
    command.kill(signal);
    const [code] = (await once(command, 'exit')) as [number | null];
    t.is(code, exitCode);
    await until(() => !pids.some(isAlive));
    t.pass();
  });
}
