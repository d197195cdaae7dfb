import { readdir, readFile, truncate, writeFile } from 'node:fs/promises';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { runMillrace, type CommandResult } from '../cli/command-line.js';
import { jobFolder } from '../cli/job-folder.js';
import { EtcdService, etcdAvailability } from '../services/etcd.js';
import { brokenJob, PASS_ON } from './broken-job.js';
import { eventually } from './eventually.js';
import { JobWatch } from './job-watch.js';
import { DEPOSITS, LedgerRun, RATE_PER_SECOND } from './ledger-run.js';
import { TestCluster } from './test-cluster.js';

const EXACT = { missing: 0, duplicated: 0, different: 0, disordered: 0 };
async function isExact(t: ExecutionContext, run: LedgerRun): Promise<void> {
  const { found, ...differences } = await run.verify();
  t.deepEqual(differences, EXACT);
  t.true(found > DEPOSITS);
}

/** A command about jobs of the cluster. */
function command({ cluster }: TestCluster, ...args: readonly string[]): Promise<CommandResult> {
  return runMillrace([...args, '--cluster', cluster.rest]);
}

/** Stops the run in its middle with a savepoint. */
async function stopInTheMiddle(
  t: ExecutionContext,
  cluster: TestCluster,
  run: LedgerRun,
): Promise<string> {
  await run.watch.until('records', (seen) => seen.recordsRead > RATE_PER_SECOND);
  const stop = await command(cluster, 'stop', run.watch.jobId, '--savepoint', '--json');
  t.is(stop.exitCode, 0, stop.stderr);
  const { savepointId, jobStatus } = JSON.parse(stop.stdout) as Record<string, string>;
  t.is(jobStatus, 'FINISHED');
  t.deepEqual(await uncommitted(run.output), [], 'all output is committed');
  t.true((await run.verify()).missing > 0, 'the job was stopped in its middle');
  return savepointId ?? '';
}

async function uncommitted(output: string): Promise<readonly string[]> {
  const folders = ['entries', 'totals'].map((name) => path.join(output, name, '.pending'));
  return (await Promise.all(folders.map((folder) => readdir(folder)))).flat();
}

test.serial(
  'a savepoint of a running job, the same job stopped with one and resumed',
  async (t) => {
    const cluster = await TestCluster.start(t, { workers: 2, slots: 1 });
    const options = { parallelism: 2 };
    const run = await LedgerRun.submit(t, cluster, options);
    await run.watch.until('records', (seen) => seen.recordsRead > 0);
    const taken = await command(cluster, 'savepoint', run.watch.jobId);
    t.is(taken.exitCode, 0, taken.stderr);
    const id = await stopInTheMiddle(t, cluster, run);
    const listed = await command(cluster, 'savepoints');
    for (const one of [id, taken.stdout.trim()]) t.true(listed.stdout.includes(one), listed.stdout);

    const resumed = await LedgerRun.submit(t, cluster, {
      ...options,
      output: run.output,
      flags: ['--from-savepoint', id],
    });
    const { job } = await resumed.ended();
    t.is(job.status, 'FINISHED');
    await isExact(t, resumed);
  },
);

for (const [from, to] of [
  [2, 4],
  [4, 3],
] as const) {
  test.serial(`a savepoint of ${from} subtasks goes on with ${to}, exactly once`, async (t) => {
    const cluster = await TestCluster.start(t, { workers: 2, slots: 2 });
    const run = await LedgerRun.submit(t, cluster, { parallelism: from });
    const id = await stopInTheMiddle(t, cluster, run);
    const resumed = await LedgerRun.submit(t, cluster, {
      parallelism: to,
      output: run.output,
      flags: ['--from-savepoint', id],
    });
    const { job } = await resumed.ended();
    t.is(job.status, 'FINISHED');
    t.is(job.parallelism, to);
    await isExact(t, resumed);
  });
}

test.serial('two jobs at once in one cluster, one cancelled, the other untouched', async (t) => {
  const cluster = await TestCluster.start(t, { workers: 2, slots: 2 });
  const options = { parallelism: 2 };
  const kept = await LedgerRun.submit(t, cluster, options);
  const dropped = await LedgerRun.submit(t, cluster, options);
  await dropped.watch.until(
    'records and a checkpoint of the second job',
    (seen) => seen.recordsRead > 0 && seen.checkpoints.counts.completed > 0,
  );
  const byName = await command(cluster, 'cancel', 'ledger');
  t.is(byName.exitCode, 1);
  t.regex(byName.stderr, /^error: JOB_STATE_CONFLICT: 2 running jobs are named "ledger"/);
  const cancel = await command(cluster, 'cancel', dropped.watch.jobId);
  t.is(cancel.exitCode, 0, cancel.stderr);
  t.regex(cancel.stdout, /CANCELED/);
  const { missing, ...others } = await dropped.verify();
  t.true(missing > 0);
  t.deepEqual(
    { duplicated: others.duplicated, different: others.different },
    { duplicated: 0, different: 0 },
  );
  await eventually(
    () => 'the slots of the cancelled job',
    async () => (await cluster.client.cluster()).slotsFree >= 2 || undefined,
  );
  const { job } = await kept.ended();
  t.is(job.status, 'FINISHED');
  t.is(job.restarts, 0);
  await isExact(t, kept);
});

const etcd = etcdAvailability();
const withEtcd = etcd.available ? test.serial : test.serial.skip;
withEtcd(
  `with etcd as meta store the coordinator is killed${etcd.available ? '' : ` (${etcd.reason})`}`,
  async (t) => {
    const service = await EtcdService.start();
    t.teardown(() => service.stop());
    const cluster = await TestCluster.start(t, {
      workers: 2,
      slots: 1,
      meta: `etcd://${service.endpoint}`,
    });
    const run = await LedgerRun.submit(t, cluster, { parallelism: 2 });
    await run.watch.until(
      'a checkpoint and records',
      (seen) => seen.recordsRead > RATE_PER_SECOND && seen.checkpoints.counts.completed > 0,
    );
    const killedAtMs = Date.now();
    await cluster.cluster.killCoordinator();
    await cluster.cluster.restartCoordinator();
    const after = await run.beginning(killedAtMs + 1);
    t.true(run.reached(killedAtMs) > after.position, 'records were in flight');
    t.true(after.position > 0, 'it went on from a checkpoint');
    t.log(`${after.firstRecordAtMs - killedAtMs} ms from kill to record`);
    const { job } = await run.ended();
    t.is(job.status, 'FINISHED');
    t.true(job.restarts > 0);
    t.true(run.watch.checkpointsCompleted >= 3);
    await isExact(t, run);
  },
);

// ---- what a savepoint does not fit ----

/** `bell` counts rows per key in the state of the given name. */
function counting(operator: string, state: string): string {
  return `.process('${operator}', {
      output: Row,
      state: { ${state}: valueState(t.int32) },
      onElement: (row, ctx) => {
        ctx.state.${state}.update((ctx.state.${state}.value() ?? 0) + 1);
        ctx.collect(row);
      },
    })`;
}

const ENDLESS = `generatorSource({
      schema: Row,
      ratePerSecond: 500,
      splits: 2,
      generate: (seq) => ({ seq, key: 'k' + (seq % 7), at: 1_700_000_000_000 + seq }),
    })`;

interface Canceled {
  readonly cluster: TestCluster;
  readonly folder: string;
  readonly savepointId: string;
  readonly jobId: string;
  /** Submits another version of the job from the savepoint. */
  readonly resume: (
    version: { readonly name?: string; readonly keyed: string; readonly output?: string },
    ...flags: readonly string[]
  ) => Promise<CommandResult>;
}

async function canceledJob(t: ExecutionContext): Promise<Canceled> {
  // Made before the cluster, so that it is removed after it: a job may still write to it.
  const folder = await jobFolder(t, {});
  const cluster = await TestCluster.start(t, { workers: 1, slots: 2 });
  const output = path.join(folder, 'output');
  const file = path.join(folder, 'job.ts');
  const checkpoint = 'intervalMs: 200, retained: 2';
  await writeFile(
    file,
    brokenJob({ source: ENDLESS, keyed: counting('count', 'seen'), output, checkpoint }),
  );
  const jobId = await cluster.submit(t, { file });
  const watch = new JobWatch(cluster.client, jobId);
  await watch.until(
    'records and checkpoints',
    (seen) => seen.recordsRead > 100 && seen.checkpoints.counts.completed > 2,
  );
  const taken = await command(cluster, 'savepoint', jobId, '--json');
  t.is(taken.exitCode, 0, taken.stderr);
  const { savepointId } = JSON.parse(taken.stdout) as { readonly savepointId: string };
  // Another two of its own after it: a savepoint is not what it retains once it has ended.
  const { counts } = await cluster.client.checkpoints(jobId);
  await watch.until(
    'later checkpoints',
    (seen) => seen.checkpoints.counts.completed > counts.completed + 2,
  );
  // Canceled, it retains its checkpoints.
  const canceled = await command(cluster, 'cancel', jobId);
  t.is(canceled.exitCode, 0, canceled.stderr);
  return {
    cluster,
    folder,
    savepointId,
    jobId,
    resume: async ({ output: where = output, ...version }, ...flags) => {
      await writeFile(file, brokenJob({ source: ENDLESS, output: where, checkpoint, ...version }));
      return command(cluster, 'submit', file, '--from-savepoint', ...flags);
    },
  };
}

test.serial(
  'a savepoint that does not fit is refused by name, unless that is allowed',
  async (t) => {
    const { cluster, resume, savepointId } = await canceledJob(t);
    for (const { version, message } of [
      {
        version: { name: 'other', keyed: counting('count', 'seen') },
        message: /^error: STATE_NOT_RESTORABLE: .*job "broken", not of "other"/m,
      },
      {
        version: { keyed: counting('tally', 'seen') },
        message: /^error: STATE_NOT_RESTORABLE: .*"count"/m,
      },
      {
        version: { keyed: counting('count', 'found') },
        message: /^error: STATE_NOT_RESTORABLE: .*"seen" of operator "count"/m,
      },
      {
        version: { keyed: counting('count', 'seen').replace('t.int32', 't.string') },
        message: /^error: STATE_NOT_RESTORABLE: .*"seen" of operator "count"/m,
      },
      {
        version: {
          keyed: `${counting('count', 'seen')}.keyBy((row) => row.key)${counting('more', 'seen')}`,
        },
        message: /^error: STATE_NOT_RESTORABLE: .*"more"/m,
      },
    ]) {
      const refused = await resume(version, savepointId);
      t.is(refused.exitCode, 1, refused.stderr);
      t.regex(refused.stderr, message);
    }
    const away = await resume({ keyed: counting('count', 'seen') }, 'no-such-savepoint');
    t.is(away.exitCode, 1);
    t.regex(away.stderr, /^error: CHECKPOINT_NOT_FOUND: .*"no-such-savepoint"/m);
    t.is((await cluster.client.jobs()).jobs.length, 1, 'nothing was started');

    const allowed = await resume(
      { keyed: PASS_ON },
      ...[savepointId, '--allow-non-restored-state', '--detached', '--json'],
    );
    t.is(allowed.exitCode, 0, allowed.stderr);
    const { jobId } = JSON.parse(allowed.stdout) as { readonly jobId: string };
    const watch = new JobWatch(cluster.client, jobId);
    const { job } = await watch.until('records', (seen) => seen.recordsRead > 100);
    t.is(job.restarts, 0);
  },
);

/** A manifest and all files that it names, as paths. */
async function filesOf(blobs: string, manifestKey: string): Promise<readonly string[]> {
  const manifest = await readFile(path.join(blobs, manifestKey), 'utf8');
  const named = [...manifest.matchAll(/"key":\s*"([^"]+)"/g)].map(([, key = '']) => key);
  return [manifestKey, ...named].map((key) => path.join(blobs, key));
}

async function flipBit(file: string): Promise<void> {
  const bytes = await readFile(file);
  const middle = bytes.length >> 1;
  bytes[middle] = (bytes[middle] ?? 0) ^ 1;
  await writeFile(file, bytes);
}

test.serial(
  'a damaged savepoint or checkpoint is never restored from, and its file is named',
  async (t) => {
    const { cluster, resume, savepointId, jobId } = await canceledJob(t);
    const blobs = path.join(cluster.folder, 'data', 'blobs');
    const { retained } = await cluster.client.checkpoints(jobId);
    const [older = 0, newest = 0] = retained.map(({ checkpointId }) => checkpointId);
    for (const { from, manifest } of [
      { from: savepointId, manifest: `savepoints/${savepointId}/manifest.json` },
      { from: `${jobId}/${newest}`, manifest: `jobs/${jobId}/chk-${newest}/manifest.json` },
    ]) {
      const files = await filesOf(blobs, manifest);
      t.true(files.length >= 3, files.join(' '));
      for (const [index, file] of files.entries()) {
        const whole = await readFile(file);
        if (index % 2 === 0) await flipBit(file);
        else await truncate(file, whole.length - 1);
        const refused = await resume({ keyed: counting('count', 'seen') }, from);
        t.is(refused.exitCode, 1, `${file}: ${refused.stderr}`);
        t.regex(refused.stderr, /CHECKPOINT_CORRUPT: /, file);
        t.true(refused.stderr.includes(path.relative(blobs, file)), refused.stderr);
        await writeFile(file, whole);
      }
    }
    const sound = await resume({ keyed: counting('count', 'seen') }, savepointId, '--detached');
    t.is(sound.exitCode, 0, sound.stderr);
    // The newest stays damaged: an older one is used on the operator's word, and on nobody else's.
    await truncate(path.join(blobs, `jobs/${jobId}/chk-${newest}/manifest.json`), 1);
    const refused = await resume({ keyed: counting('count', 'seen') }, `${jobId}/${newest}`);
    t.is(refused.exitCode, 1, refused.stderr);
    const asked = await resume(
      { keyed: counting('count', 'seen') },
      `${jobId}/${older}`,
      '--detached',
    );
    t.is(asked.exitCode, 0, asked.stderr);
  },
);
