/**
 * Rescaling under load with real processes: on request, as workers come and leave, and with processes
 * killed at random moments of it. Whatever happens, the committed output is exact.
 */
import { setTimeout as delay } from 'node:timers/promises';
import test, { type ExecutionContext } from 'ava';
import type { JobDetails } from '../../api/rest/job-dto.js';
import { isMillraceError } from '../../core/errors.js';
import { runMillrace } from '../cli/command-line.js';
import { eventually } from './eventually.js';
import { LEDGER_OUTPUTS } from './ledger-output.js';
import { DEPOSITS, LedgerRun } from './ledger-run.js';
import { randomOf, SEED } from './seed.js';
import { MISTAKES, spoiledCopy } from './spoiled-output.js';
import { TestCluster } from './test-cluster.js';

const EXACT = { missing: 0, duplicated: 0, different: 0, disordered: 0 };
const REPLAY = `MILLRACE_SEED=${SEED}`;
/** Slots settle at once, so that a test need not wait; how long they take by default is no matter here. */
const QUICK = ['--slot-stabilization', '200', '--rescale-cooldown', '100'];
const NOT_NOW: readonly string[] = ['JOB_STATE_CONFLICT', 'NOT_ENOUGH_SLOTS'];
/** A kill strikes at a random moment from the wish on, beyond which a rescale is over as a rule. */
const MOMENTS_MS = 900;

async function start(
  t: ExecutionContext,
  parallelism: number,
  workers: number,
): Promise<{ readonly cluster: TestCluster; readonly run: LedgerRun }> {
  const cluster = await TestCluster.start(t, { workers, slots: 2, coordinatorFlags: QUICK });
  const run = await LedgerRun.submit(t, cluster, { parallelism });
  await runsAt(run, parallelism);
  return { cluster, run };
}

/** All tasks run at this parallelism and have read something, and nothing is about to change that. */
async function runsAt(run: LedgerRun, parallelism: number): Promise<JobDetails> {
  const { job } = await run.watch.until(
    `parallelism ${parallelism}`,
    ({ job: seen, recordsRead }) => {
      const states = seen.vertices.flatMap(({ subtasks }) => subtasks.map(({ state }) => state));
      return (
        seen.status === 'RUNNING' &&
        seen.parallelism === parallelism &&
        seen.scaling?.underWay === false &&
        states.every((state) => state === 'RUNNING') &&
        recordsRead > 0
      );
    },
  );
  return job;
}

/** Lets the job come to the end of its input, and compares what it has committed. */
async function finish(t: ExecutionContext, run: LedgerRun): Promise<void> {
  t.true((await run.verify()).missing > 0, 'the job was in its middle');
  const { job } = await run.ended();
  t.is(job.status, 'FINISHED', JSON.stringify(job.failures.at(-1)));
  const { found, ...differences } = await run.verify();
  t.deepEqual(differences, EXACT);
  t.true(found > DEPOSITS);
}

/**
 * Asks for another parallelism until that is taken: a job that restarts takes no wish, and a worker
 * that has not come (back) to the coordinator yet has no slots.
 */
async function wish(cluster: TestCluster, run: LedgerRun, parallelism: number): Promise<void> {
  await eventually(
    () => `the wish for parallelism ${parallelism}`,
    async () => {
      try {
        await cluster.client.rescaleJob(run.watch.jobId, parallelism);
        return true;
      } catch (error) {
        if (isMillraceError(error) && NOT_NOW.includes(error.code)) return undefined;
        throw error;
      }
    },
  );
}

test.serial(
  'exactly once: rescaled up and down under load; a worker joins, one leaves meanwhile',
  async (t) => {
    const { cluster, run } = await start(t, 2, 1);
    const { jobId } = run.watch;
    const command = (parallelism: number): ReturnType<typeof runMillrace> =>
      runMillrace([
        ...['rescale', jobId, '--parallelism', String(parallelism)],
        ...['--cluster', cluster.cluster.rest, '--json'],
      ]);
    const beyond = await command(129);
    t.is(beyond.exitCode, 2);
    t.regex(beyond.stderr, /PARAM_INVALID: parallelism 129 is outside 1\.\.128/);
    const refused = await t.throwsAsync(cluster.client.rescaleJob(jobId, 4));
    t.regex(refused?.message ?? '', /^NOT_ENOUGH_SLOTS: .* needs 4 slots, .* can have 2 of the/);
    const [leaving] = cluster.cluster.workers;
    await cluster.cluster.addWorker();
    await eventually(
      () => 'the slots of the second worker',
      async () => (await cluster.client.cluster()).slotsTotal === 4 || undefined,
    );
    for (const parallelism of [4, 1]) {
      const { exitCode, stdout, stderr } = await command(parallelism);
      t.is(exitCode, 0, stderr);
      const answer = JSON.parse(stdout) as { readonly to: number; readonly downtimeMs: number };
      t.is(answer.to, parallelism);
      t.log(`to ${parallelism}: ${Math.round(answer.downtimeMs)} ms without output`);
      await runsAt(run, parallelism);
    }
    await wish(cluster, run, 3);
    leaving?.kill('SIGTERM');
    t.is(await leaving?.ended, 'exit code 0');
    const job = await runsAt(run, 2);
    t.is(job.desiredParallelism, 3);
    t.regex(job.scaling?.why ?? '', /it can have 2 of the cluster's 2 slots/);
    await cluster.cluster.addWorker();
    t.like(await runsAt(run, 3), { restarts: 0, failures: [] }, 'all in good order');
    await finish(t, run);
    for (const name of LEDGER_OUTPUTS) {
      for (const mistake of MISTAKES) {
        const copy = await spoiledCopy(run.output, name, mistake);
        const { found: _, ...noticed } = await run.verify(copy);
        t.notDeepEqual(noticed, EXACT, `the checker notices: ${mistake} in ${name}`);
      }
    }
  },
);

test.serial(`exactly once: processes killed in the middle of rescales (${REPLAY})`, async (t) => {
  const random = randomOf('rescale kills');
  const { cluster, run } = await start(t, 2, 2);
  let parallelism = 2;
  for (const victim of ['worker', 'coordinator', 'worker', 'coordinator'] as const) {
    parallelism = random.pick([1, 2, 3, 4].filter((other) => other !== parallelism));
    await wish(cluster, run, parallelism);
    const momentMs = random.whole(0, MOMENTS_MS);
    await delay(momentMs);
    if (victim === 'worker') {
      const worker = random.pick(cluster.cluster.workers);
      worker.kill('SIGKILL');
      await worker.ended;
      await cluster.cluster.addWorker();
    } else {
      await cluster.cluster.killCoordinator();
      await cluster.cluster.restartCoordinator();
    }
    const job = await runsAt(run, parallelism);
    t.is(job.desiredParallelism, parallelism);
    t.log(
      `${victim} killed ${momentMs} ms after the wish for ${parallelism}: attempt ${job.attempt}`,
    );
  }
  await finish(t, run);
});
