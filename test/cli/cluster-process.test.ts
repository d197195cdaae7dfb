import { readFile } from 'node:fs/promises';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import test, { type ExecutionContext } from 'ava';
import { ClusterProcess } from '../../cli/cluster-process.js';
import type { Clock } from '../../core/clock.js';
import type { MillraceError } from '../../core/errors.js';
import { isAlive } from '../is-alive.js';
import { jobFolder } from './job-folder.js';

const MAIN = fileURLToPath(new URL('../../../test/fixtures/cluster-process.mjs', import.meta.url));

/** Real time for starting, but what waits for a process to end by itself is due at once. */
const impatient: Clock = {
  now: () => 0,
  monotonic: () => 0,
  setTimer: (delayMs, callback) => {
    const timer = setTimeout(callback, delayMs > 10_000 ? delayMs : 0);
    return () => clearTimeout(timer);
  },
};

async function start(t: ExecutionContext, behaviour: string): Promise<ClusterProcess> {
  const folder = await jobFolder(t, {});
  const started = new ClusterProcess({
    name: 'worker-1',
    main: MAIN,
    flags: [behaviour],
    logFile: path.join(folder, 'worker-1.log'),
    clock: impatient,
  });
  t.teardown(() => started.kill('SIGKILL'));
  return started;
}

test('a process is ready once it says so, and ends when asked', async (t) => {
  const worker = await start(t, 'works');
  const announced = await worker.ready();
  t.is(announced.pid, worker.pid);
  t.is(worker.id, 'w-1');
  t.false(worker.killed);
  await worker.close();
  t.true(worker.killed);
});

test('what a process fails with is thrown as it was', async (t) => {
  const worker = await start(t, 'fails');
  const error = await t.throwsAsync<MillraceError>(worker.ready());
  t.is(error.message, 'STORAGE_LOCKED: held by pid 1; end it');
});

test('a process that ends without a word points to its log', async (t) => {
  const worker = await start(t, 'crashes');
  const error = await t.throwsAsync<MillraceError>(worker.ready());
  const log = /INTERNAL: the worker-1 ended \(exit code 7\) before it was ready; see (\S+)/.exec(
    error.message,
  )?.[1];
  t.is(await readFile(log ?? '', 'utf8'), 'something broke\n');
});

test('a process that does not end when asked is killed', async (t) => {
  const worker = await start(t, 'deaf');
  await worker.ready();
  await worker.close();
  t.is(await worker.ended, 'SIGKILL');
});

test('a killed process tells how it ended', async (t) => {
  const worker = await start(t, 'works');
  await worker.ready();
  worker.kill('SIGKILL');
  t.is(await worker.ended, 'SIGKILL');
});

test('kill -9 of the parent ends the child', async (t) => {
  const folder = await jobFolder(t, {});
  const source = new URL('../../cli/cluster-process.js', import.meta.url).href;
  const script = `
    const { ClusterProcess } = await import(${JSON.stringify(source)});
    const clock = { now: () => 0, monotonic: () => 0, setTimer: (ms, f) => { const x = setTimeout(f, ms); return () => clearTimeout(x); } };
    const child = new ClusterProcess({ name: 'w', main: ${JSON.stringify(MAIN)}, flags: ['works'], logFile: ${JSON.stringify(path.join(folder, 'w.log'))}, clock });
    process.stdout.write((await child.ready()).pid + '\\n');`;
  const parent = spawn(process.execPath, ['--input-type=module', '--eval', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [line] = (await once(parent.stdout, 'data')) as [Buffer];
  const pid = Number(line.toString());
  process.kill(pid, 0);
  parent.kill('SIGKILL');
  await once(parent, 'exit');
  await t.notThrowsAsync(async () => {
    while (isAlive(pid)) await new Promise((resolve) => setImmediate(resolve));
  });
});
