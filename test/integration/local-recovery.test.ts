/**
 * Local recovery with real processes: attempts that fail and come back on the same worker take the
 * copies that it kept, and none of those that were changed meanwhile. What comes out is exact.
 */
import { readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import test from 'ava';
import { eventually } from './eventually.js';
import { JobWatch } from './job-watch.js';
import { TestCluster } from './test-cluster.js';

const REFUSING_JOB = fileURLToPath(
  new URL('../../../test/fixtures/jobs/refusing/job.ts', import.meta.url),
);
const VISITORS = 300;
const VISITS = 100;

interface RestoredLine {
  readonly msg: string;
  readonly attempt: number;
  readonly localBytes: number;
  readonly fetchedBytes: number;
}

/** What the slots of the one worker say that they got back, and from where. */
async function restored(cluster: TestCluster): Promise<readonly RestoredLine[]> {
  const log = await readFile(path.join(cluster.folder, 'data/logs/worker-1.log'), 'utf8');
  // The last line may be under way.
  return log
    .slice(0, log.lastIndexOf('\n'))
    .split('\n')
    .filter((line) => line.includes('"restored keyed state"'))
    .map((line) => JSON.parse(line) as RestoredLine);
}

/** Flips a bit of every copy. A slot may have links to the same bytes, which stay as they are. */
async function flipCopies(cluster: TestCluster, jobId: string): Promise<number> {
  let flips = 0;
  const root = path.join(cluster.folder, 'data/workers/1/state');
  const copies = (await readdir(root, { recursive: true })).filter((name) =>
    name.includes(path.join('checkpoints', jobId) + path.sep),
  );
  for (const name of copies) {
    const bytes = await readFile(path.join(root, name)).catch(() => undefined);
    // A slot may have found that it was changed, and removed it.
    if (bytes === undefined) continue;
    const middle = bytes.length >> 1;
    bytes[middle] = (bytes[middle] ?? 0) ^ 1;
    const flipped = path.join(cluster.folder, 'flipped');
    await writeFile(flipped, bytes);
    await rename(flipped, path.join(root, name));
    flips++;
  }
  return flips;
}

async function lines(folder: string): Promise<readonly string[]> {
  const names = (await readdir(folder)).filter((name) => !name.startsWith('.'));
  const texts = await Promise.all(names.map((name) => readFile(path.join(folder, name), 'utf8')));
  return texts.flatMap((text) => text.split('\n')).filter((line) => line !== '');
}

test('a slot that restarts on its worker takes the copies there, but none that was changed', async (t) => {
  const cluster = await TestCluster.start(t, { workers: 1, slots: 2 });
  const [refuse, hurry, output] = ['refuse', 'hurry', 'output'].map((name) =>
    path.join(cluster.folder, name),
  ) as [string, string, string];
  const jobId = await cluster.submit(t, {
    file: REFUSING_JOB,
    parallelism: 2,
    params: { visitors: String(VISITORS), visits: String(VISITS), refuse, hurry, output },
  });
  const watch = new JobWatch(cluster.client, jobId);
  await watch.until('a checkpoint of all visitors', ({ recordsRead }) => {
    return recordsRead > 2 * VISITORS && watch.checkpointsCompleted > 2;
  });
  await writeFile(refuse, '');
  await watch.until('a restart or two', ({ job: { attempt } }) => attempt > 2);
  const before = await restored(cluster);
  t.true(before.length > 0);
  for (const { localBytes, fetchedBytes } of before) {
    t.true(localBytes > 0);
    t.is(fetchedBytes, 0);
  }

  t.true((await flipCopies(cluster, jobId)) > 0);
  const fetched = await eventually(
    () => 'a slot that fetches what was changed',
    async () => (await restored(cluster)).find(({ fetchedBytes }) => fetchedBytes > 0),
  );
  const again = await eventually(
    () => 'a slot that takes the copies of what was fetched',
    async () =>
      (await restored(cluster)).find(
        ({ attempt, localBytes, fetchedBytes }) =>
          attempt > fetched.attempt && localBytes > 0 && fetchedBytes === 0,
      ),
  );
  t.true(again.attempt > fetched.attempt);

  await rm(refuse);
  await writeFile(hurry, '');
  const { job } = await watch.ended();
  t.is(job.status, 'FINISHED', JSON.stringify(job.failures.at(-1)));
  // A state thread that outlives its slot is no failure of its own.
  t.deepEqual([...new Set(watch.failures)], ['USER_CODE_FAILED']);
  const expected = Array.from({ length: VISITORS }, (_, index) =>
    JSON.stringify({ visitor: `visitor-${index}`, visits: VISITS }),
  );
  t.deepEqual([...(await lines(output))].sort(), expected.sort());
});
