/**
 * Broadcast state with real processes: rules change all the while, workers are killed, and the
 * parallelism goes up and down. Every verdict is committed once, by the very rules of its time.
 */
import { readFile } from 'node:fs/promises';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import test from 'ava';
import { runMillrace } from '../cli/command-line.js';
import { JobWatch } from './job-watch.js';
import { committedFiles } from './ledger-output.js';
import { QUICK, runsAt, wish } from './scaled-job.js';
import { randomOf, SEED } from './seed.js';
import { TestCluster } from './test-cluster.js';

/** Sources are beside the compiled output: dist/test/integration -> test/fixtures. */
const RULES_JOB = fileURLToPath(
  new URL('../../../test/fixtures/jobs/rules/job.ts', import.meta.url),
);
const REPLAY = `MILLRACE_SEED=${SEED}`;
const ACCOUNTS = 61;
const RULES = 7;
const PAYMENTS_PER_CHANGE = 10;
/** Longer than the test takes, until the rest of it rushes by. */
const PAYMENTS = 12_000;
const RATE_PER_SECOND = 200;
const CHECKPOINTS = 2;

interface Difference {
  readonly missing: number;
  readonly unexpected: number;
}

/** Every verdict as its line, computed in one thread with nothing of the engine. */
function expectedVerdicts(isApplied: (change: number) => boolean = () => true): Set<string> {
  const judged = new Map<string, number>();
  const limits = new Map<number, number>();
  const lines = new Set<string>();
  let changes = 0;
  for (let seq = 0; seq < PAYMENTS; seq++) {
    const change = seq / PAYMENTS_PER_CHANGE;
    if (Number.isInteger(change) && isApplied(change)) {
      limits.set(change % RULES, (change * 17) % 101);
      changes++;
    }
    const account = `account-${(seq * 31) % ACCOUNTS}`;
    const n = (judged.get(account) ?? 0) + 1;
    judged.set(account, n);
    const sum = [...limits.values()].reduce((total, limit) => total + limit, 0);
    lines.add(JSON.stringify({ seq, account, n, changes, limits: sum }));
  }
  return lines;
}

async function differences(output: string, expected: Set<string>): Promise<Difference> {
  const files = await committedFiles(path.join(output, 'verdicts'));
  const texts = await Promise.all(files.map((file) => readFile(file, 'utf8')));
  const left = new Set(expected);
  let unexpected = 0;
  for (const line of texts.flatMap((text) => text.split('\n'))) {
    if (line !== '' && !left.delete(line)) unexpected++;
  }
  return { missing: left.size, unexpected };
}

test.serial(
  `exactly once: rules change while workers are killed and the job is rescaled (${REPLAY})`,
  async (t) => {
    const random = randomOf('broadcast state');
    const cluster = await TestCluster.start(t, { workers: 2, slots: 2, coordinatorFlags: QUICK });
    const output = path.join(cluster.folder, 'output');
    const rush = path.join(cluster.folder, 'rush');
    const params = {
      ...{ count: String(PAYMENTS), rate: String(RATE_PER_SECOND) },
      ...{ output, rush },
    };
    const jobId = await cluster.submit(t, { file: RULES_JOB, params, parallelism: 2 });
    const watch = new JobWatch(cluster.client, jobId);
    const goesOn = async (parallelism: number): Promise<void> => {
      const { attempt } = await runsAt(watch, parallelism);
      const before = watch.checkpointsCompleted;
      await watch.until(
        `${CHECKPOINTS} checkpoints of attempt ${attempt}`,
        () => watch.checkpointsCompleted >= before + CHECKPOINTS,
      );
    };
    await goesOn(2);
    for (const parallelism of [4, 1]) {
      await wish(cluster, watch, parallelism);
      const worker = random.pick(cluster.cluster.workers);
      worker.kill('SIGKILL');
      await worker.ended;
      await cluster.cluster.addWorker();
      await goesOn(parallelism);
    }
    t.true((await differences(output, expectedVerdicts())).missing > 0, 'it was in its middle');
    const { stdout } = await runMillrace(['job', jobId, '--cluster', cluster.cluster.rest]);
    t.regex(stdout, /judge/);
    writeFileSync(rush, '');
    const { job } = await watch.ended();
    t.is(job.status, 'FINISHED', JSON.stringify(job.failures.at(-1)));
    t.true(job.attempt >= 3, 'it was restored from checkpoints');
    t.deepEqual(await differences(output, expectedVerdicts()), { missing: 0, unexpected: 0 });
    const lost = await differences(
      output,
      expectedVerdicts((change) => change !== PAYMENTS / PAYMENTS_PER_CHANGE / 2),
    );
    t.true(lost.unexpected > PAYMENTS / 3, 'one change that was lost would be noticed');
  },
);
