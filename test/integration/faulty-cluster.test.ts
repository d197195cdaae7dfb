import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, rm, statfs, writeFile } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import path from 'node:path';
import { createInterface } from 'node:readline';
import test, { type ExecutionContext } from 'ava';
import { ENGINE_VERSION } from '../../core/version.js';
import { MILLRACE_MAIN, runMillrace } from '../cli/command-line.js';
import { jobFolder } from '../cli/job-folder.js';
import { FakeWorker } from '../coordinator/fake-worker.js';
import { smallTmpfs, tmpfsAvailability } from '../storage/small-tmpfs.js';
import { brokenJob } from './broken-job.js';
import { eventually } from './eventually.js';
import { LedgerRun } from './ledger-run.js';
import { TestCluster } from './test-cluster.js';

const EXACT = { missing: 0, duplicated: 0, different: 0, disordered: 0 };

/** Processes of this machine that hold `text` in their command line. */
async function processesWith(text: string): Promise<readonly number[]> {
  const found: number[] = [];
  for (const pid of (await readdir('/proc')).map(Number).filter(Number.isInteger)) {
    const commandLine = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
    if (pid !== process.pid && commandLine.includes(text)) found.push(pid);
  }
  return found;
}

async function nothingRuns(folder: string): Promise<void> {
  await eventually(
    () => `the end of all processes of ${folder}`,
    async () => (await processesWith(folder)).length === 0 || undefined,
  );
}

// ---- addresses and versions ----

test('a job for a cluster that is not there', async (t) => {
  const folder = await jobFolder(t, {});
  await writeFile(path.join(folder, 'job.ts'), brokenJob({ output: path.join(folder, 'out') }));
  for (const args of [
    ['submit', 'job.ts'],
    ['submit', 'job.ts', '--cluster', '127.0.0.1:9'],
    ['stop', 'ledger', '--savepoint', '--cluster', '127.0.0.1:9'],
  ]) {
    const { exitCode, stdout, stderr } = await runMillrace(args, { cwd: folder });
    t.is(exitCode, 3, args.join(' '));
    t.regex(stderr, /^error: CLUSTER_UNREACHABLE: .*millrace cluster.*\n$/);
    t.is(stdout, '');
  }
  t.deepEqual(await readdir(folder), ['job.ts']);
});

test('a port in use is named, and nothing stays', async (t) => {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => server.close());
  const { port } = server.address() as AddressInfo;
  const folder = await jobFolder(t, {});
  const data = path.join(folder, 'data');
  for (const args of [
    ['cluster', '--rest-port', String(port), '--data', data],
    ['coordinator', '--rest-port', String(port), '--rpc-port', '0', '--data', data],
    ['coordinator', '--rpc-port', String(port), '--rest-port', '0', '--data', data],
  ]) {
    const { exitCode, stderr } = await runMillrace(args);
    t.is(exitCode, 1, args.join(' '));
    t.regex(stderr, /^(error: )?PORT_IN_USE: .*/m);
    t.true(stderr.includes(String(port)), stderr);
    t.notRegex(stderr, /\n\s+at /);
    await nothingRuns(folder);
  }
});

test('a worker finds its ports in use', async (t) => {
  const cluster = await TestCluster.start(t, { workers: 0, slots: 1 });
  const taken = cluster.cluster.rest.split(':')[1] ?? '';
  for (const flag of ['--data-port', '--http-port']) {
    const args = ['worker', '--coordinator', cluster.cluster.rpc, flag, taken];
    const { exitCode, stderr } = await runMillrace([...args, '--data', cluster.folder]);
    t.is(exitCode, 1, stderr);
    t.regex(stderr, new RegExp(`^error: PORT_IN_USE: .*${taken}.*${flag}`, 'm'));
    t.notRegex(stderr, /\n\s+at /);
  }
});

test('a worker of another version is refused, and the cluster goes on', async (t) => {
  const cluster = await TestCluster.start(t, { workers: 1, slots: 1 });
  const stranger = new FakeWorker(cluster.cluster.rpc, 'stranger', { engineVersion: '99.0.0' });
  stranger.send({ $case: 'register', value: stranger.register });
  const refused = await stranger.next('refused');
  t.is(refused.code, 'VERSION_MISMATCH');
  t.true(refused.message.includes('99.0.0') && refused.message.includes(ENGINE_VERSION));
  const { workers } = await cluster.client.workers();
  t.is(workers.length, 1);
  await stranger.ended;
});

test('two clusters on one data folder', async (t) => {
  const cluster = await TestCluster.start(t, { workers: 1, slots: 1 });
  const data = path.join(cluster.folder, 'data');
  for (const command of [
    ['cluster', '--workers', '1'],
    ['coordinator', '--rest-port', '0', '--rpc-port', '0'],
  ]) {
    const { exitCode, stderr } = await runMillrace([...command, '--data', data]);
    t.is(exitCode, 1);
    t.regex(stderr, /^(error: )?STORAGE_LOCKED: .*in use.*another data folder/m);
  }
  t.is((await cluster.client.cluster()).workers, 1, 'the first one goes on');
  const found = await runMillrace(['workers', '--data', data]);
  t.is(found.exitCode, 0, 'and is still found by its folder');
});

// ---- Ctrl-C ----

interface Interruption {
  readonly what: string;
  readonly args: (folder: string) => readonly string[];
  /** A line of its output or a file of its folder after which it is interrupted; undefined: at once. */
  readonly after: RegExp | string | undefined;
  readonly exitCode: number;
}

async function fileThere(file: string): Promise<void> {
  await eventually(
    () => file,
    () => existsSync(file) || undefined,
  );
}

async function interrupt(
  t: ExecutionContext,
  folder: string,
  { args, after, exitCode }: Omit<Interruption, 'what'>,
): Promise<string> {
  const child = spawn(process.execPath, [MILLRACE_MAIN, ...args(folder)], {
    cwd: folder,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  t.teardown(() => child.kill('SIGKILL'));
  const closed = once(child, 'close') as Promise<[number | null, string | null]>;
  let text = '';
  await new Promise<void>((resolve) => {
    const look = (line: string): void => {
      text += `${line}\n`;
      if (after instanceof RegExp && after.test(line)) resolve();
    };
    createInterface(child.stdout).on('line', look);
    createInterface(child.stderr).on('line', look);
    if (after === undefined) setImmediate(resolve);
    if (typeof after === 'string') void fileThere(path.join(folder, after)).then(resolve);
    void closed.then(() => resolve());
  });
  child.kill('SIGINT');
  const [code, signal] = await closed;
  t.true(
    code === exitCode || (after === undefined && signal === 'SIGINT'),
    `${code} ${signal}: ${text}`,
  );
  t.notRegex(text, /\n\s+at /, 'no stack trace');
  await nothingRuns(folder);
  return text;
}

const demo = (): readonly string[] => ['demo', '--transactions', '400000'];
for (const { what, ...interruption } of [
  { what: 'cluster, at once', args: () => ['cluster'], after: undefined, exitCode: 130 },
  {
    what: 'cluster, while it starts',
    args: () => ['cluster'],
    after: '.millrace/logs/coordinator.log',
    exitCode: 130,
  },
  {
    what: 'demo, while its cluster starts',
    args: demo,
    after: '.millrace/demo/logs/worker-1.log',
    exitCode: 130,
  },
  { what: 'cluster, when it is up', args: () => ['cluster'], after: /^cluster is up/, exitCode: 0 },
  { what: 'demo, at once', args: demo, after: undefined, exitCode: 130 },
  {
    what: 'demo, while its input is made',
    args: demo,
    after: /cluster: 1 coordinator/,
    exitCode: 130,
  },
  { what: 'demo, while its job is bundled', args: demo, after: /input: /, exitCode: 130 },
  {
    what: 'demo, while its job runs',
    args: demo,
    after: /checkpoint|records|events/,
    exitCode: 130,
  },
] satisfies readonly Interruption[]) {
  test(`Ctrl-C leaves no process: ${what}`, async (t) => {
    const folder = await jobFolder(t, {});
    await interrupt(t, folder, interruption);
    t.pass();
  });
}

test('Ctrl-C of submit: while it bundles nothing is submitted, later the job goes on', async (t) => {
  // Made before the cluster, so that it is removed after it: the job still writes to it.
  const folder = await jobFolder(t, {});
  const cluster = await TestCluster.start(t, { workers: 1, slots: 2 });
  const args = (): readonly string[] => ['submit', 'job.ts', '--cluster', cluster.cluster.rest];
  const source =
    'generatorSource({ schema: Row, ratePerSecond: 100, generate: (seq) => ({ seq, key: "k", at: seq }) })';
  const output = path.join(folder, 'out');
  const file = path.join(folder, 'job.ts');
  await writeFile(
    file,
    brokenJob({
      output,
      source,
      head: `import { writeFileSync } from 'node:fs';
writeFileSync(${JSON.stringify(path.join(folder, 'building'))}, '');
for (;;);`,
    }),
  );
  await interrupt(t, folder, { args, after: 'building', exitCode: 130 });
  t.deepEqual((await cluster.client.jobs()).jobs, []);

  await writeFile(file, brokenJob({ output, source }));
  const text = await interrupt(t, folder, { args, after: /^RUNNING/, exitCode: 130 });
  t.regex(text, /the job goes on.*millrace cancel/);
  const [job] = (await cluster.client.jobs()).jobs;
  t.is(job?.status, 'RUNNING');
});

// ---- full disks ----

const tmpfs = tmpfsAvailability();
const onTmpfs = tmpfs.available ? test.serial : test.serial.skip;
const reason = tmpfs.available ? '' : ` (${tmpfs.reason})`;
const MIB = 1024 * 1024;

/** Takes all space that is left. */
async function fill(folder: string): Promise<string> {
  const filler = path.join(folder, 'filler');
  const { bavail, bsize } = await statfs(folder);
  await writeFile(filler, Buffer.alloc(bavail * bsize)).catch(() => undefined);
  return filler;
}

onTmpfs(`a full disk under state and meta store: nothing is lost${reason}`, async (t) => {
  const disk = smallTmpfs(t, 32 * MIB);
  const cluster = await TestCluster.start(t, {
    workers: 2,
    slots: 1,
    dataDir: path.join(disk, 'data'),
  });
  const run = await LedgerRun.submit(t, cluster, {
    parallelism: 2,
  });
  const before = await run.watch.until(
    'checkpoints',
    ({ checkpoints }) => checkpoints.counts.completed > 2,
  );
  const filler = await fill(disk);
  const failed = await run.watch.until(
    'failed checkpoints',
    ({ checkpoints }) => checkpoints.counts.failed > 2,
  );
  t.regex(
    failed.checkpoints.history.find(({ status }) => status === 'FAILED')?.failure ?? '',
    /^(CHECKPOINT_FAILED|STORAGE_UNAVAILABLE): .*(full|ENOSPC|no space)/i,
  );
  t.log(failed.checkpoints.history.find(({ status }) => status === 'FAILED')?.failure);
  await rm(filler);
  await run.watch.until(
    'checkpoints after it',
    ({ checkpoints }) => checkpoints.counts.completed > before.checkpoints.counts.completed + 1,
  );
  const { job } = await run.ended();
  t.is(job.status, 'FINISHED');
  const { found, ...differences } = await run.verify();
  t.deepEqual(differences, EXACT);
  t.true(found > 0);
});

onTmpfs(
  `a full disk under the output: the job restarts until there is room${reason}`,
  async (t) => {
    const disk = smallTmpfs(t, 16 * MIB);
    const output = path.join(disk, 'output');
    await mkdir(output);
    const cluster = await TestCluster.start(t, { workers: 2, slots: 1 });
    const run = await LedgerRun.submit(t, cluster, {
      parallelism: 2,
      output,
    });
    await run.watch.until('checkpoints', ({ checkpoints }) => checkpoints.counts.completed > 2);
    const filler = await fill(disk);
    const { job: hit } = await run.watch.until('failures', ({ job }) => job.failures.length > 0);
    t.is(hit.failures[0]?.code, 'OUTPUT_FAILED', hit.failures[0]?.message);
    t.regex(hit.failures[0]?.message ?? '', /output\/.*(full|space)/);
    t.log(hit.failures[0]?.message);
    await rm(filler);
    const { job } = await run.ended();
    t.is(job.status, 'FINISHED');
    const { found, ...differences } = await run.verify();
    t.deepEqual(differences, EXACT);
    t.true(found > 0);
  },
);
