/**
 * State that outgrows its memory, with real processes: a worker that is killed and started again on the
 * same folder, and a rescale. Whatever leaves and comes back to memory, the committed output is exact,
 * and no database is left.
 */
import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import test from 'ava';
import { ClusterProcess } from '../../cli/cluster-process.js';
import { eventually } from './eventually.js';
import { JobWatch } from './job-watch.js';
import { clock, TestCluster } from './test-cluster.js';

const VISITS_JOB = fileURLToPath(
  new URL('../../../test/fixtures/jobs/visits/job.ts', import.meta.url),
);
const WORKER_MAIN = fileURLToPath(new URL('../../worker/main.js', import.meta.url));
const VISITORS = 30_000;
const ROUNDS = 3;
const RATE_PER_SECOND = 15_000;

/** Times that each visitor is written of. */
async function written(folder: string): Promise<Map<string, number>> {
  const times = new Map<string, number>();
  for (const name of await readdir(folder)) {
    if (name.startsWith('.')) continue;
    for (const line of (await readFile(path.join(folder, name), 'utf8')).split('\n')) {
      if (line === '') continue;
      times.set(line, (times.get(line) ?? 0) + 1);
    }
  }
  return times;
}

/** Visitors who are not written of exactly so many times, and what is written beside. */
function differences(
  found: ReadonlyMap<string, number>,
  visits: number,
  times: number,
): { readonly wrong: number; readonly strange: number } {
  let wrong = 0;
  for (let i = 0; i < VISITORS; i++) {
    if (found.get(JSON.stringify({ visitor: `visitor-${i}`, visits })) !== times) wrong++;
  }
  return { wrong, strange: found.size - VISITORS + wrong };
}

const EXACT = { wrong: 0, strange: 0 };

async function databases(folder: string): Promise<readonly string[]> {
  const files = await readdir(folder, { recursive: true });
  return files.filter((file) => path.basename(file) === 'database');
}

test('exactly once with state in rocksdb beyond its memory, over a kill and a rescale', async (t) => {
  const cluster = await TestCluster.start(t, { workers: 1, slots: 2 });
  const output = path.join(cluster.folder, 'output');
  const jobId = await cluster.submit(t, {
    file: VISITS_JOB,
    parallelism: 2,
    params: { visitors: String(VISITORS), rate: String(RATE_PER_SECOND), output },
  });
  const watch = new JobWatch(cluster.client, jobId);
  await watch.until('a checkpoint in the second round', ({ recordsRead }) => {
    return recordsRead > VISITORS && watch.checkpointsCompleted > 0;
  });
  const leftBehind = await databases(cluster.folder);
  t.is(leftBehind.length, 2);
  const [worker] = cluster.cluster.workers;
  worker?.kill('SIGKILL');
  await worker?.ended;
  t.deepEqual(await databases(cluster.folder), leftBehind);
  // On the folder of the one that was killed, with databases that it still had open.
  const next = new ClusterProcess({
    name: 'worker-2',
    main: WORKER_MAIN,
    flags: [
      ...['--coordinator', cluster.cluster.rpc, '--slots', '2', '--scoring-threads', '1'],
      ...['--data', path.join(cluster.folder, 'data/workers/1')],
    ],
    logFile: path.join(cluster.folder, 'data/logs/worker-2.log'),
    clock,
  });
  t.teardown(() => next.close());
  await next.ready();
  const stillThere = (await databases(cluster.folder)).filter((one) => leftBehind.includes(one));
  t.deepEqual(stillThere, []);
  await watch.until('the second attempt', ({ job: { attempt, vertices }, recordsRead }) => {
    const states = vertices.flatMap(({ subtasks }) => subtasks.map(({ state }) => state));
    return attempt > 1 && recordsRead > 0 && states.every((state) => state === 'RUNNING');
  });
  await cluster.client.rescaleJob(jobId, 1);
  const { job } = await watch.ended();
  t.is(job.status, 'FINISHED', JSON.stringify(job.failures.at(-1)));
  t.deepEqual(differences(await written(path.join(output, 'farewells')), ROUNDS, 1), EXACT);
  t.deepEqual(differences(await written(path.join(output, 'rounds')), 1, ROUNDS), EXACT);
  await eventually(
    () => 'the end of all databases',
    async () => {
      return (await databases(cluster.folder)).length === 0 || undefined;
    },
  );
});
