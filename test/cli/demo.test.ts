/** The demo as users run it: the real command, its real processes, its exit code and what it leaves. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import test from 'ava';
import { isAlive } from '../is-alive.js';
import { temporaryFolder } from '../temporary-folder.js';
import { MILLRACE_MAIN, runMillrace } from './command-line.js';
import { processesNaming } from './processes.js';

test.serial('a demo with a killed worker ends exactly right, and leaves no process', async (t) => {
  const data = await temporaryFolder(t);
  const flags = ['--transactions', '50000', '--kill-worker', '--json', '--data', data];
  const { exitCode, stdout, stderr } = await runMillrace(['demo', ...flags]);
  t.is(exitCode, 0, stderr);
  const summary = JSON.parse(stdout) as Readonly<Record<string, unknown>>;
  t.deepEqual(
    Object.keys(summary).sort(),
    [
      ...['transactions', 'alerts', 'plantedFrauds', 'caught', 'precision', 'recall'],
      ...['checkpointsCompleted', 'restarts', 'killed', 'recoveryMs'],
      ...['missing', 'duplicated', 'different', 'seconds'],
    ].sort(),
  );
  t.like(summary, { transactions: 50_000, killed: true, missing: 0, duplicated: 0, different: 0 });
  t.true(Number(summary['restarts']) >= 1);
  t.deepEqual(await processesNaming(data), []);
});

test.serial('Ctrl-C ends the demo with 130 and leaves no process', async (t) => {
  const data = await temporaryFolder(t);
  const demo = spawn(process.execPath, [MILLRACE_MAIN, 'demo', '--data', data], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  t.teardown(() => demo.kill('SIGKILL'));
  await new Promise<void>((resolve, reject) => {
    let printed = '';
    demo.once('exit', () => reject(new Error(`it ended by itself: ${printed}`)));
    demo.stdout.setEncoding('utf8').on('data', (text: string) => {
      printed += text;
      if (printed.includes('submitted ')) resolve();
    });
  });
  const started = await processesNaming(data);
  t.true(started.length >= 4, 'the command, a coordinator and two workers');
  const ended = once(demo, 'exit');
  demo.kill('SIGINT');
  t.deepEqual(await ended, [130, null]);
  t.deepEqual(started.filter(isAlive), []);
});
