import path from 'node:path';
import { fileURLToPath } from 'node:url';
import test, { type ExecutionContext } from 'ava';
import type { JobDetails } from '../../api/rest/job-dto.js';
import type { ClusterProcess } from '../../cli/cluster-process.js';
import { MAX_OUT_OF_ORDERNESS_MS } from '../../jobs/fraud-detection/event-time-order.js';
import { DEFAULT_SPLIT_BYTES, OUTPUT_NAMES } from '../../jobs/fraud-detection/outputs.js';
import { computeReference } from '../../jobs/fraud-detection/reference.js';
import { writeTransactions } from '../../jobs/fraud-detection/transactions.js';
import { verifyOutput } from '../../jobs/fraud-detection/verify.js';
import type { SeededRandom } from '../simulation/event-loop.js';
import { eventually } from './eventually.js';
import { JobWatch } from './job-watch.js';
import { LEDGER_OUTPUTS } from './ledger-output.js';
import { DEPOSITS, LedgerRun, RATE_PER_SECOND } from './ledger-run.js';
import { randomOf, SEED } from './seed.js';
import { MISTAKES, spoiledCopy } from './spoiled-output.js';
import { TestCluster } from './test-cluster.js';

/** Sources are beside the compiled output: dist/test/integration -> jobs. */
const FRAUD_JOB = fileURLToPath(new URL('../../../jobs/fraud-detection/job.ts', import.meta.url));
const TRANSACTIONS = 500_000;
const EXACT = { missing: 0, duplicated: 0, different: 0, disordered: 0 };
/** Records in flight are counted from one attempt to the next, so that no other may come between them. */
const EXACTLY = ['--exact-parallelism'];
const CHECKPOINTS_MIN = 3;
/** Progress in one attempt before a fault strikes. */
const PROGRESS_MIN = 0.1 * RATE_PER_SECOND;
const PROGRESS_MAX = 1.2 * RATE_PER_SECOND;
const REPLAY = `MILLRACE_SEED=${SEED}`;

/** A worker that runs tasks of the job. */
function busyWorker(
  { cluster }: TestCluster,
  workerIds: ReadonlySet<string | null>,
  random: SeededRandom,
): ClusterProcess {
  const busy = cluster.workers.filter(({ id }) => workerIds.has(id ?? ''));
  return random.pick(busy);
}

function workersOf(job: JobDetails): ReadonlySet<string | null> {
  return new Set(job.vertices.flatMap(({ subtasks }) => subtasks.map(({ workerId }) => workerId)));
}

interface Strike {
  /** What happened to the cluster; resolves once it has happened. */
  readonly strike: (busy: ReadonlySet<string | null>) => Promise<void> | void;
  readonly random: SeededRandom;
}

/**
 * Lets the job run for a random while, strikes, and waits until it reads again. How long that takes
 * is told, not judged: it is the machine's doing as well.
 */
async function strikeOnce(
  t: ExecutionContext,
  run: LedgerRun,
  { strike, random }: Strike,
): Promise<void> {
  const progress = random.whole(PROGRESS_MIN, PROGRESS_MAX);
  const { job } = await run.watch.until(
    `${progress} records read in one attempt`,
    (seen) => seen.job.status === 'RUNNING' && seen.recordsRead >= progress,
  );
  const struckAtMs = Date.now();
  await strike(workersOf(job));
  const after = await run.beginning(struckAtMs + 1);
  const inFlight = run.reached(struckAtMs) - after.position;
  t.true(inFlight > 0, `records were in flight when it struck (${inFlight})`);
  t.true(after.position < DEPOSITS, 'the input was not at its end');
  const standstillMs = after.firstRecordAtMs - struckAtMs;
  t.log(`${inFlight} records in flight; ${standstillMs} ms from the fault to the next record`);
}

async function finish(t: ExecutionContext, run: LedgerRun, restartsMin: number): Promise<void> {
  const { job } = await run.ended();
  t.is(job.status, 'FINISHED');
  t.true(job.restarts >= restartsMin, `the faults were observed: ${job.restarts} restarts`);
  t.true(run.watch.checkpointsCompleted >= CHECKPOINTS_MIN, 'checkpoints were completed');
  const { found, ...differences } = await run.verify();
  t.deepEqual(differences, EXACT);
  t.true(found > DEPOSITS);
  for (const name of LEDGER_OUTPUTS) {
    for (const mistake of MISTAKES) {
      const copy = await spoiledCopy(run.output, name, mistake);
      const { found: _, ...noticed } = await run.verify(copy);
      t.notDeepEqual(noticed, EXACT, `the checker notices: ${mistake} in ${name}`);
    }
  }
}

interface WorkerKills {
  readonly kills: number;
  readonly workers: number;
  readonly slots: number;
  readonly parallelism: number;
}

for (const plan of [
  { kills: 4, workers: 3, slots: 1, parallelism: 2 },
  { kills: 3, workers: 2, slots: 2, parallelism: 4 },
] satisfies readonly WorkerKills[]) {
  const { kills, workers, slots, parallelism } = plan;
  const title = `${kills} workers of ${workers} killed under ${parallelism} subtasks`;
  test.serial(`exactly once: ${title} (${REPLAY})`, async (t) => {
    const random = randomOf(title);
    const cluster = await TestCluster.start(t, { workers, slots });
    const run = await LedgerRun.submit(t, cluster, { parallelism, flags: EXACTLY });
    for (let kill = 0; kill < kills; kill += 1) {
      await strikeOnce(t, run, {
        random,
        strike: async (busy) => {
          const victim = busyWorker(cluster, busy, random);
          victim.kill('SIGKILL');
          await victim.ended;
          await cluster.cluster.addWorker();
        },
      });
    }
    await finish(t, run, kills);
  });
}

test.serial(`exactly once: the coordinator killed 5 times (${REPLAY})`, async (t) => {
  const kills = 5;
  const random = randomOf(t.title);
  const cluster = await TestCluster.start(t, { workers: 2, slots: 1 });
  const run = await LedgerRun.submit(t, cluster, { parallelism: 2, flags: EXACTLY });
  const epochs = [(await cluster.client.cluster()).epoch];
  for (let kill = 0; kill < kills; kill += 1) {
    await strikeOnce(t, run, {
      random,
      strike: async () => {
        await cluster.cluster.killCoordinator();
        await cluster.cluster.restartCoordinator();
      },
    });
    epochs.push((await cluster.client.cluster()).epoch);
  }
  t.deepEqual(
    epochs,
    [...new Set(epochs)].sort((a, b) => a - b),
    'each coordinator is a new one',
  );
  await finish(t, run, kills);
});

test.serial(`exactly once: a stopped worker that comes back as a zombie (${REPLAY})`, async (t) => {
  const stops = 2;
  const random = randomOf(t.title);
  const cluster = await TestCluster.start(t, {
    workers: 3,
    slots: 1,
    coordinatorFlags: ['--heartbeat-interval', '100', '--heartbeat-timeout', '1000'],
  });
  const run = await LedgerRun.submit(t, cluster, { parallelism: 2, flags: EXACTLY });
  for (let stop = 0; stop < stops; stop += 1) {
    let zombie: ClusterProcess | undefined;
    await strikeOnce(t, run, {
      random,
      strike: (busy) => {
        zombie = busyWorker(cluster, busy, random);
        zombie.kill('SIGSTOP');
      },
    });
    const { checkpoints } = await run.watch.until('the attempt after it', () => true);
    const completed = checkpoints.latestCompleted?.checkpointId ?? 0;
    await run.watch.until(
      'a checkpoint without the zombie',
      (seen) => (seen.checkpoints.latestCompleted?.checkpointId ?? 0) > completed + 1,
    );
    const registered = async (): Promise<boolean> =>
      (await cluster.client.workers()).workers.some(({ workerId }) => workerId === zombie?.id);
    t.false(await registered(), 'the stopped worker counts as lost');
    zombie?.kill('SIGCONT');
    await eventually(
      () => 'the return of the stopped worker',
      async () => (await registered()) || undefined,
    );
  }
  t.true(
    run.watch.failures.every((code) => code === 'WORKER_LOST'),
    String(run.watch.failures),
  );
  await finish(t, run, stops);
});

test.serial(`exactly once: fraud detection, a worker killed 3 times (${REPLAY})`, async (t) => {
  const kills = 3;
  const random = randomOf(t.title);
  const cluster = await TestCluster.start(t, { workers: 2, slots: 2 });
  const input = path.join(cluster.folder, 'transactions.ndjson');
  const output = path.join(cluster.folder, 'output');
  const { transactions } = await writeTransactions({
    path: input,
    labelsPath: path.join(cluster.folder, 'labels.ndjson'),
    transactions: TRANSACTIONS,
    seed: SEED,
  });
  const jobId = await cluster.submit(t, {
    file: FRAUD_JOB,
    parallelism: 2,
    params: { input, output },
  });
  const watch = new JobWatch(cluster.client, jobId);
  for (let kill = 0; kill < kills; kill += 1) {
    const progress = random.whole(0.1 * transactions, 0.3 * transactions);
    const { job } = await watch.until(
      `${progress} transactions in attempt ${kill + 1}`,
      (seen) => seen.job.attempt === kill + 1 && seen.recordsRead >= progress,
    );
    const victim = busyWorker(cluster, workersOf(job), random);
    victim.kill('SIGKILL');
    await victim.ended;
    await cluster.cluster.addWorker();
  }
  const { job } = await watch.ended();
  t.is(job.status, 'FINISHED');
  t.is(job.restarts, kills);
  t.true(watch.checkpointsCompleted >= CHECKPOINTS_MIN, 'checkpoints were completed');
  t.true(watch.recordsReadInAll > transactions, 'records were in flight and read again');
  t.log(`${watch.recordsReadInAll - transactions} records read again`);
  const reference = await computeReference({
    input,
    splitBytes: DEFAULT_SPLIT_BYTES,
    maxOutOfOrdernessMs: MAX_OUT_OF_ORDERNESS_MS,
  });
  const { found, missing, duplicated, different } = await verifyOutput(output, reference);
  t.deepEqual({ missing, duplicated, different }, { missing: 0, duplicated: 0, different: 0 });
  t.true(found > 0);
  for (const name of OUTPUT_NAMES) {
    for (const mistake of MISTAKES) {
      const wrong = await verifyOutput(await spoiledCopy(output, name, mistake), reference);
      const noticed = wrong.missing + wrong.duplicated + wrong.different;
      t.true(noticed > 0, `the checker notices: ${mistake} in ${name}`);
    }
  }
});
