import path from 'node:path';
import test from 'ava';
import { runMillrace } from './command-line.js';
import { FIXTURE_JOBS, jobFolder } from './job-folder.js';
import { serveCluster } from './cluster-stand-in.js';

const CLICKS = path.join(FIXTURE_JOBS, 'clicks');

for (const args of [
  [],
  ['no-such-command'],
  ['jobs', '--no-such-option'],
  ['submit'],
  ['submit', 'job.ts', '--param', 'no-equals-sign'],
  ['submit', 'job.ts', '--parallelism', '0'],
  ['cluster', '--workers', 'two'],
  ['stop', 'some-job'],
  ['plan', 'no-such-file.ts'],
]) {
  test(`used wrongly: millrace ${args.join(' ')}`, async (t) => {
    const { exitCode, stdout, stderr } = await runMillrace(args, { cwd: CLICKS });
    t.is(exitCode, 2);
    t.is(stdout, '');
    t.regex(stderr, args.length === 0 ? /^Usage: millrace/ : /^error: USAGE: /);
    t.notRegex(stderr, /\n\s+at /, 'no stack trace');
  });
}

test('help and version are answers', async (t) => {
  const help = await runMillrace(['--help']);
  t.is(help.exitCode, 0);
  t.regex(help.stdout, /Exit codes: 0 done/);
  t.is(help.stderr, '');
  const version = await runMillrace(['--version']);
  t.is(version.exitCode, 0);
  t.regex(version.stdout, /^\d+\.\d+\.\d+\n$/);
});

test('a parameter that the job does not take is a wrong use, and what it takes is listed', async (t) => {
  const { exitCode, stderr } = await runMillrace(['plan', 'job.ts', '--param', 'sight=x'], {
    cwd: CLICKS,
  });
  t.is(exitCode, 2);
  t.regex(stderr, /^error: PARAM_INVALID: the job has no parameter "sight"/);
  t.regex(stderr, /--param site=STRING {2}the site to watch \(required\)/);
});

test('no cluster on the folder, and none at the address', async (t) => {
  const cwd = await jobFolder(t, {});
  const none = await runMillrace(['jobs'], { cwd });
  t.is(none.exitCode, 3);
  t.regex(
    none.stderr,
    /^error: CLUSTER_UNREACHABLE: no cluster runs on the folder \.millrace; start/,
  );
  for (const args of [
    ['jobs'],
    ['workers'],
    ['job', 'x'],
    ['submit', path.join(CLICKS, 'job.ts')],
  ]) {
    const gone = await runMillrace([...args, '--cluster', '127.0.0.1:9'], { cwd });
    t.is(gone.exitCode, 3, args.join(' '));
    t.regex(gone.stderr, /^error: CLUSTER_UNREACHABLE: .*127\.0\.0\.1:9/);
  }
});

test('an error in user code shows the line of the user and no frame of the engine', async (t) => {
  const cwd = await jobFolder(t, {
    'jobs/broken.ts': `import { job } from 'millrace';
export default job('broken', {}, () => {
  throw new Error('no region');
});\n`,
  });
  const { exitCode, stderr } = await runMillrace(['plan', 'jobs/broken.ts'], { cwd });
  t.is(exitCode, 1);
  t.is(
    stderr,
    'error: USER_CODE_FAILED: the builder of job "broken" threw: no region; ' +
      'correct it where the stack points, and try again\n' +
      '    at jobs/broken.ts:3:9\n',
  );
});

test('plan prints one JSON document', async (t) => {
  const { exitCode, stdout } = await runMillrace(
    ['plan', 'job.ts', '--param', 'site=x', '--parallelism', '3', '--json'],
    { cwd: CLICKS },
  );
  t.is(exitCode, 0);
  const plan = JSON.parse(stdout) as { jobName: string; parallelism: number };
  t.is(plan.jobName, 'clicks');
  t.is(plan.parallelism, 3);
});

test('a job without a parallelism is planned for all free slots', async (t) => {
  const cwd = await jobFolder(t, {
    'job.ts': `import { job, t } from 'millrace';
import { fileSink, fileSource, jsonLines } from 'millrace/files';
const Line = t.record({ line: t.string });
export default job('free', { maxParallelism: 16 }, (env) => {
  env
    .source('lines', fileSource({ path: 'in', format: jsonLines(Line) }))
    .sinkTo('write', fileSink({ path: 'out', format: jsonLines(Line) }));
});\n`,
  });
  const { stdout } = await runMillrace(['plan', 'job.ts'], { cwd });
  t.regex(stdout, /^job free {2}on all free slots, at most 16 \(shown for parallelism 2\)\n/);
  const given = await runMillrace(['plan', 'job.ts', '--parallelism', '3'], { cwd });
  t.regex(given.stdout, /^job free {2}parallelism 3 \(at most 16\)\n/);
});

test('a job that takes all free slots wishes for no number, one that does not says its wish', async (t) => {
  const scaling = { exact: false, slotsAvailable: 4, underWay: false, why: null, history: [] };
  for (const [desiredParallelism, text] of [
    [128, '4 (all free slots, at most 128)'],
    [6, '4 of 6 desired'],
    [4, '4'],
  ] as const) {
    const look = {
      parallelism: 4,
      desiredParallelism,
      scaling: { ...scaling, maxParallelism: 128 },
    };
    const { address } = await serveCluster(t, { looks: [look] });
    const { stdout } = await runMillrace(['job', 'job-1', '--cluster', address]);
    t.is(/^parallel {3}(.*)$/m.exec(stdout)?.[1], text);
  }
});

test('a command that is used wrongly points to its own help', async (t) => {
  for (const command of ['rescale', 'submit', 'plan', 'stop', 'cancel', 'job', 'checkpoints']) {
    const { exitCode, stderr } = await runMillrace([command]);
    t.is(exitCode, 2);
    t.true(stderr.endsWith(`(see 'millrace ${command} --help')\n`), stderr);
  }
  for (const command of ['cluster', 'demo', 'savepoint', 'jobs', 'workers', 'savepoints']) {
    const { exitCode, stderr } = await runMillrace([command, '--no-such-option']);
    t.is(exitCode, 2);
    t.true(stderr.endsWith(`(see 'millrace ${command} --help')\n`), stderr);
  }
});

test('listings are aligned tables without colour, or the document of the API', async (t) => {
  const { address } = await serveCluster(t);
  const table = await runMillrace(['jobs', '--cluster', address]);
  t.is(table.exitCode, 0);
  t.is(
    table.stdout,
    'JOB    NAME    STATUS    PARALLELISM  RESTARTS  SUBMITTED                DURATION\n' +
      'job-1  clicks  FINISHED            2         1  2026-01-01 00:00:00 UTC     5.0 s\n',
  );
  const json = await runMillrace(['jobs', '--cluster', address, '--json']);
  t.is((JSON.parse(json.stdout) as { jobs: { jobId: string }[] }).jobs[0]?.jobId, 'job-1');
});

test('the cluster is found by environment and by the data folder', async (t) => {
  const { address } = await serveCluster(t);
  const cwd = await jobFolder(t, {
    'data/coordinator.json': JSON.stringify({ rest: address }),
    '.millrace/coordinator.json': JSON.stringify({ rest: address }),
  });
  t.is((await runMillrace(['workers'], { env: { MILLRACE_CLUSTER: address } })).exitCode, 0);
  t.is((await runMillrace(['workers', '--data', 'data'], { cwd })).exitCode, 0);
  t.is((await runMillrace(['workers'], { cwd })).stdout, 'no workers\n');
});

test('an error of the cluster is shown as it is', async (t) => {
  const { address } = await serveCluster(t);
  const { exitCode, stderr } = await runMillrace(['job', 'job-2', '--cluster', address]);
  t.is(exitCode, 1);
  t.is(stderr, "error: JOB_NOT_FOUND: there is no job job-2; see 'millrace jobs'\n");
});

test('submit uploads, follows the job and ends with its fate', async (t) => {
  const { address, uploads } = await serveCluster(t);
  const args = ['submit', 'job.ts', '--param', 'site=x', '--cluster', address];
  const finished = await runMillrace(args, { cwd: CLICKS });
  t.is(finished.exitCode, 0, finished.stderr);
  t.is(finished.stdout, 'job clicks FINISHED after 5.0 s, 1 restart\n');
  t.regex(finished.stderr, /checkpoint 1 completed in 12 ms, 2\.0 KB/);
  t.regex(finished.stderr, /FINISHED \(attempt 2\)/);
  const detached = await runMillrace([...args, '--detached', '--json'], { cwd: CLICKS });
  t.is((JSON.parse(detached.stdout) as { jobId: string }).jobId, 'job-1');
  t.is(new Set(uploads).size, 1, 'the same bundle twice');
});

test('a job that fails ends the command with 1 and the cause', async (t) => {
  const { address } = await serveCluster(t, { status: 'FAILED' });
  const args = ['submit', 'job.ts', '--param', 'site=x', '--cluster', address];
  const { exitCode, stderr } = await runMillrace(args, { cwd: CLICKS });
  t.is(exitCode, 1);
  t.regex(stderr, /failure: USER_CODE_FAILED: operator "page" threw: boom/);
  t.regex(stderr, /^ {4}at pageOf \(lib\/page\.ts:2:3\)$/m);
});

test('savepoint, stop and cancel wait until they are done', async (t) => {
  const { address } = await serveCluster(t);
  const savepoint = await runMillrace(['savepoint', 'job-1', '--cluster', address]);
  t.is(savepoint.stdout, 'sp-1\n');
  const stop = await runMillrace(['stop', 'job-1', '--savepoint', '--cluster', address]);
  t.is(stop.stdout, 'job job-1 FINISHED; savepoint sp-1\n');
  t.is(stop.exitCode, 0);
  const cancel = await runMillrace(['cancel', 'job-1', '--cluster', address]);
  t.is(cancel.exitCode, 1, 'it had finished already');
});

test('checkpoints show what was written, what they name in all, and which are retained', async (t) => {
  const { address } = await serveCluster(t);
  const { stdout } = await runMillrace(['checkpoints', 'job-1', '--cluster', address]);
  const [titles = '', row = '', besides = ''] = stdout.split('\n');
  t.regex(titles, /WRITTEN +FULL SIZE +IN FLIGHT +RETAINED/);
  t.regex(row, /^ *1 .* 512 B +2\.0 KB +256 B +yes/);
  t.is(besides, 'retained besides, of an earlier coordinator: 0');
});

test('savepoints say who has claimed them, and are disposed of by id', async (t) => {
  const { address } = await serveCluster(t);
  const list = await runMillrace(['savepoints', '--cluster', address]);
  t.regex(list.stdout, /CLAIMED BY\nsp-1 .* job-3\n$/);
  const disposed = await runMillrace(['savepoint', '--dispose', 'sp-1', '--cluster', address]);
  t.is(disposed.stdout, 'savepoint sp-1 deleted\n');
  t.is((await runMillrace(['savepoint', '--dispose', 'sp-2', '--cluster', address])).exitCode, 1);
  for (const args of [[], ['job-1', '--dispose', 'sp-1']]) {
    const { exitCode, stderr } = await runMillrace(['savepoint', ...args, '--cluster', address]);
    t.is(exitCode, 2);
    t.regex(stderr, /USAGE: savepoint takes either a job, or --dispose/);
  }
  const mode = await runMillrace(['submit', 'job.ts', '--claim-mode', 'steal'], { cwd: CLICKS });
  t.is(mode.exitCode, 2);
  t.regex(mode.stderr, /no-claim, claim/);
});

test('what answers at the address but is no cluster is told apart', async (t) => {
  const { address } = await serveCluster(t, { foreign: true });
  const { exitCode, stderr } = await runMillrace(['jobs', '--cluster', address]);
  t.is(exitCode, 1);
  t.regex(stderr, /^error: VERSION_MISMATCH: /);
});
