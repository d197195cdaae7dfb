import test, { type ExecutionContext } from 'ava';
import type { JobCheckpoints } from '../../api/rest/checkpoint-dto.js';
import { isMillraceError } from '../../core/errors.js';
import type { CheckpointConfig } from '../../core/stream-graph.js';
import type { StateFile } from '../../proto/gen/millrace/v1/control.js';
import type { BlobStore } from '../../storage/blob-store.js';
import { CoordinatorFixture } from './coordinator-fixture.js';
import type { ScriptedWorker } from './scripted-worker.js';

const CHECKPOINT: CheckpointConfig = {
  intervalMs: 20,
  timeoutMs: 60_000,
  retained: 2,
  minPauseMs: 0,
  tolerableFailures: 0,
  alignmentTimeoutMs: null,
};
/** Checkpoints are asked for by nobody but the test. */
const RARELY = { checkpoint: { ...CHECKPOINT, intervalMs: 60_000 } };
const OFTEN = { checkpoint: CHECKPOINT };

async function refusal(promise: Promise<unknown>): Promise<string> {
  try {
    await promise;
  } catch (error) {
    if (isMillraceError(error)) return error.message;
    throw error;
  }
  return 'not refused';
}

/** Tasks that write a run for each checkpoint and name those of the ones before, up to three. */
function writeRuns(fixture: CoordinatorFixture, worker: ScriptedWorker): void {
  const runs = new Map<string, StateFile[]>();
  worker.script.files = async (task, _checkpointId, prefix) => {
    const key = `${prefix}${task.vertex}-${task.subtask}`;
    const { lengthBytes, sha256 } = await fixture.blobs.put(key, Buffer.from(key));
    const operator = task.vertex;
    const groups = { keyGroupStart: 0, keyGroupEnd: 128 };
    const file = { operator, kind: 'keyed', key, lengthBytes, sha256, ...groups };
    if (prefix.startsWith('savepoints/')) return [file];
    const job = prefix.slice(0, prefix.indexOf('/chk-'));
    const list = [...(runs.get(job + task.vertex) ?? []), file].slice(-3);
    runs.set(job + task.vertex, list);
    return list;
  };
}

interface Running {
  readonly fixture: CoordinatorFixture;
  readonly worker: ScriptedWorker;
  readonly jobId: string;
}

async function startJob(t: ExecutionContext, graph = OFTEN): Promise<Running> {
  const fixture = await CoordinatorFixture.start(t);
  const worker = await fixture.worker('w1', 4);
  writeRuns(fixture, worker);
  const jobId = await fixture.submit({ graph, parallelism: 1 });
  await fixture.running(jobId);
  return { fixture, worker, jobId };
}

function completed({ fixture }: Running, jobId: string, count: number): Promise<JobCheckpoints> {
  return fixture.until(
    () => fixture.client.checkpoints(jobId),
    ({ counts }) => counts.completed >= count,
  );
}

async function savepointOf({ fixture }: Running, jobId: string): Promise<string> {
  const { savepointId } = await fixture.client.triggerSavepoint(jobId);
  await fixture.until(
    () => fixture.client.savepoint(jobId, savepointId),
    ({ status }) => status === 'COMPLETED',
  );
  return savepointId;
}

async function cancel({ fixture }: Running, jobId: string): Promise<void> {
  await fixture.client.cancelJob(jobId);
  await fixture.job(jobId, ({ status }) => status === 'CANCELED');
}

/** Waits until the blob store holds exactly these under the prefix. */
async function holds({ fixture }: Running, prefix: string, count: number): Promise<void> {
  await fixture.until(
    () => fixture.keys(prefix),
    ({ length }) => length === count,
  );
}

test('checkpoints that share files show what they wrote and what they name', async (t) => {
  const running = await startJob(t);
  const { jobId } = running;
  const { history, retained } = await completed(running, jobId, 5);
  const latest = history.find(({ status }) => status === 'COMPLETED');
  t.true((latest?.checkpointedBytes ?? 0) > 0);
  t.true((latest?.bytes ?? 0) > 2 * (latest?.checkpointedBytes ?? 0));
  t.is(retained.length, 2);
  await cancel(running, jobId);
  const kept = await running.fixture.client.checkpoints(jobId);
  // Two manifests, and of each of the two tasks the runs of four checkpoints.
  await holds(running, `jobs/${jobId}/`, 2 + 2 * 4);
  t.is(kept.retained.length, 2);
  await running.fixture.restart();
  const later = await running.fixture.client.checkpoints(jobId);
  t.deepEqual(later.history, []);
  t.deepEqual(later.retained, kept.retained, 'a later coordinator knows them, too');
});

test('a job that has finished leaves no checkpoint, and neither does one that is told so', async (t) => {
  const running = await startJob(t);
  const { fixture, jobId } = running;
  await completed(running, jobId, 3);
  const { savepointId } = await fixture.client.stopWithSavepoint(jobId);
  await fixture.job(jobId, ({ status }) => status === 'FINISHED');
  await holds(running, `jobs/${jobId}/`, 0);
  t.deepEqual((await fixture.client.checkpoints(jobId)).retained, []);
  await holds(running, `savepoints/${savepointId}/`, 3);
  const onCancel = { checkpoint: { ...CHECKPOINT, onCancel: 'delete' as const } };
  const second = await fixture.submit({ graph: onCancel, parallelism: 1 });
  await completed(running, second, 3);
  await cancel(running, second);
  await holds(running, `jobs/${second}/`, 0);
});

test("no-claim: the savepoint stays its user's, and can be disposed of when no restart needs it", async (t) => {
  const running = await startJob(t, RARELY);
  const { fixture, worker, jobId } = running;
  const savepointId = await savepointOf(running, jobId);
  t.regex(
    await refusal(fixture.client.disposeSavepoint(savepointId)),
    new RegExp(`^JOB_STATE_CONFLICT: job ${jobId} .* would be restarted from savepoints/`),
  );
  await cancel(running, jobId);
  worker.script.acknowledges = false;
  const second = await fixture.submit({ graph: OFTEN, parallelism: 1, fromSavepoint: savepointId });
  await fixture.running(second);
  t.is(worker.deployed.get(0)?.restore?.owned, false);
  t.regex(await refusal(fixture.client.disposeSavepoint(savepointId)), new RegExp(second));
  const { attempt, checkpointId, prefix } = await worker.next('triggerCheckpoint', (next) =>
    next.prefix.startsWith('jobs/'),
  );
  if (attempt === undefined) return t.fail('a trigger has its attempt');
  worker.script.acknowledges = true;
  await worker.acknowledge(attempt, checkpointId, prefix);
  await completed(running, second, 2);
  t.deepEqual(await fixture.client.disposeSavepoint(savepointId), { savepointId });
  await holds(running, `savepoints/${savepointId}/`, 0);
  t.deepEqual((await fixture.client.savepoints()).savepoints, []);
  t.regex(await refusal(fixture.client.disposeSavepoint(savepointId)), /^CHECKPOINT_NOT_FOUND/);
  t.is((await fixture.client.job(second)).status, 'RUNNING');
});

test("claim: the savepoint is the job's, nobody else's, and goes with its last reference", async (t) => {
  const running = await startJob(t, RARELY);
  const { fixture, worker, jobId } = running;
  const savepointId = await savepointOf(running, jobId);
  const claim = { parallelism: 1, fromSavepoint: savepointId, claimMode: 'claim' } as const;
  t.regex(await refusal(fixture.submit({ graph: OFTEN, ...claim })), /would be restarted from/);
  await cancel(running, jobId);
  t.regex(
    await refusal(fixture.submit({ graph: OFTEN, parallelism: 1, claimMode: 'claim' })),
    /^USAGE: there is nothing to claim/,
  );
  const second = await fixture.submit({ graph: RARELY, ...claim });
  await fixture.running(second);
  const { restore } = worker.deployed.get(0) ?? {};
  t.is(restore?.owned, true);
  const told = new RegExp(
    `^JOB_STATE_CONFLICT: savepoint "${savepointId}" belongs to job ${second}`,
  );
  t.regex(await refusal(fixture.submit({ graph: OFTEN, ...claim })), told);
  t.regex(
    await refusal(fixture.submit({ graph: OFTEN, parallelism: 1, fromSavepoint: savepointId })),
    told,
  );
  t.regex(await refusal(fixture.client.disposeSavepoint(savepointId)), told);
  const { savepoints } = await fixture.client.savepoints();
  t.like(savepoints, [{ savepointId, jobId, claimedBy: second }]);
  await fixture.restart();
  const again = await fixture.worker('w1', 4);
  writeRuns(fixture, again);
  await fixture.running(second, 2);
  t.is(
    again.deployed.get(0)?.restore?.owned,
    true,
    'until there is another, restarts start from it',
  );
  await savepointOf(running, second);
  t.is((await fixture.client.savepoints()).savepoints.length, 2, 'a savepoint subsumes nothing');
  await cancel(running, second);
  // What the ended job retains is the claimed savepoint; it changes hands once more.
  const name = `${second}/${restore?.checkpointId ?? 0}`;
  const third = await fixture.submit({
    graph: OFTEN,
    parallelism: 1,
    fromSavepoint: name,
    claimMode: 'claim',
  });
  const { history } = await completed(running, third, 3);
  t.true(history.every(({ checkpointId }) => checkpointId > (restore?.checkpointId ?? 0)));
  await holds(running, `savepoints/${savepointId}/`, 0);
  t.is((await fixture.client.savepoints()).savepoints.length, 1);
  t.regex(
    await refusal(fixture.submit({ parallelism: 1, fromSavepoint: savepointId })),
    /^CHECKPOINT_NOT_FOUND.*claimed/,
  );
});

test('checkpoints of an ended job are claimed as a whole, by their latest', async (t) => {
  const running = await startJob(t);
  const { fixture, worker, jobId } = running;
  await completed(running, jobId, 3);
  const submit = (checkpointId: number, ...[claimMode]: ['claim'?]): Promise<string> =>
    fixture.submit({
      graph: OFTEN,
      parallelism: 1,
      fromSavepoint: `${jobId}/${checkpointId}`,
      ...(claimMode === undefined ? {} : { claimMode }),
    });
  const [early] = (await fixture.client.checkpoints(jobId)).retained;
  t.regex(
    await refusal(submit(early?.checkpointId ?? 0)),
    /JOB_STATE_CONFLICT.*still runs|NOT_FOUND/,
  );
  await cancel(running, jobId);
  const { retained } = await fixture.client.checkpoints(jobId);
  const [older = 0, latest = 0] = retained.map(({ checkpointId }) => checkpointId);
  t.regex(await refusal(submit(older, 'claim')), new RegExp(`the later checkpoint ${latest}`));
  const borrower = await submit(older);
  await fixture.running(borrower);
  t.is(worker.deployed.get(0)?.restore?.checkpointId, older, "on the operator's word");
  await cancel(running, borrower);
  const owner = await submit(latest, 'claim');
  await completed(running, owner, 4);
  await holds(running, `jobs/${jobId}/`, 0);
  t.regex(await refusal(submit(latest)), new RegExp(`belongs to job ${owner}`));
  t.is((await fixture.client.job(owner)).status, 'RUNNING');
});

test("a file of any run that is gone or cut is named, and an older checkpoint is nobody's choice", async (t) => {
  const running = await startJob(t);
  const { fixture, jobId } = running;
  await completed(running, jobId, 4);
  await cancel(running, jobId);
  const { retained } = await fixture.client.checkpoints(jobId);
  const [older = 0, latest = 0] = retained.map(({ checkpointId }) => checkpointId);
  const from = (checkpointId: number): Promise<string> =>
    fixture.submit({ graph: OFTEN, parallelism: 1, fromSavepoint: `${jobId}/${checkpointId}` });
  const prefix = `jobs/${jobId}/chk-${latest}/`;
  const manifest = Buffer.from(await fixture.blobs.get(`${prefix}manifest.json`)).toString();
  const files = [...manifest.matchAll(/"key":"([^"]+)"/g)].map(([, key = '']) => key);
  t.true(files.length >= 6 && files.some((key) => !key.startsWith(prefix)), files.join(' '));
  for (const [index, key] of [...files, `${prefix}manifest.json`].entries()) {
    const whole = await fixture.blobs.get(key);
    if (index % 2 === 0) await fixture.blobs.delete(key);
    else await fixture.blobs.put(key, whole.subarray(1));
    const message = await refusal(from(latest));
    t.regex(message, /^CHECKPOINT_CORRUPT: /, key);
    t.true(message.includes(key), message);
    await fixture.blobs.put(key, whole);
  }
  await fixture.blobs.delete(`${prefix}manifest.json`);
  t.regex(await refusal(from(latest)), /^CHECKPOINT_CORRUPT/);
  await fixture.running(await from(older));
});

test('a job whose latest checkpoint is damaged fails, and deletes nothing', async (t) => {
  const running = await startJob(t);
  const { fixture, worker, jobId } = running;
  await completed(running, jobId, 4);
  worker.kill();
  await fixture.stop();
  const chosen = (await fixture.keys(`jobs/${jobId}/`)).filter((key) =>
    key.endsWith('/manifest.json'),
  );
  const latest = chosen.sort((a, b) => idOf(a) - idOf(b)).at(-1) ?? '';
  await fixture.blobs.put(latest, Buffer.from('{}'));
  const before = await fixture.keys(`jobs/${jobId}/`);
  await fixture.restart();
  const failed = await fixture.job(jobId, ({ status }) => status === 'FAILED');
  t.like(failed.failures.at(-1), { code: 'CHECKPOINT_CORRUPT' });
  t.true(failed.failures.at(-1)?.message.includes(latest));
  t.deepEqual(await fixture.keys(`jobs/${jobId}/`), before);
});

function idOf(key: string): number {
  return Number(/chk-(\d+)/.exec(key)?.[1]);
}

test('a checkpoint storage that hangs costs checkpoints, not the job', async (t) => {
  let release: () => void = () => undefined;
  let hangs = true;
  const released = new Promise<void>((resolve) => (release = resolve));
  const fixture = await CoordinatorFixture.start(t, {
    wrapBlobs: (blobs): BlobStore => ({
      put: async (key, data, options) => {
        if (hangs && key.endsWith('/manifest.json')) await released;
        return blobs.put(key, data, options);
      },
      get: (key, expected) => blobs.get(key, expected),
      list: (prefix) => blobs.list(prefix),
      delete: (key) => blobs.delete(key),
      deleteAll: (keys) => blobs.deleteAll(keys),
      removeUnfinished: (...begun) => blobs.removeUnfinished(...begun),
    }),
  });
  const worker = await fixture.worker('w1', 2);
  const graph = { checkpoint: { ...CHECKPOINT, timeoutMs: 1_000, tolerableFailures: 1_000 } };
  const jobId = await fixture.submit({ graph, parallelism: 1 });
  const notWritten = /^CHECKPOINT_TIMEOUT: .*its manifest was not written/;
  await fixture.until(
    () => fixture.client.checkpoints(jobId),
    ({ history }) => history.some(({ failure }) => notWritten.test(failure ?? '')),
  );
  hangs = false;
  release();
  const running = { fixture, worker, jobId };
  await completed(running, jobId, 2);
  await cancel(running, jobId);
  // Two are retained; manifests that came late are no orphans.
  await holds(running, `jobs/${jobId}/`, 2);
  t.is((await fixture.client.checkpoints(jobId)).retained.length, 2);
});

test("a task that names a file which is not the job's is not believed", async (t) => {
  const running = await startJob(t);
  const { fixture, worker, jobId } = running;
  await completed(running, jobId, 1);
  const write = worker.script.files;
  worker.script.files = async (task, checkpointId, prefix) =>
    (await write(task, checkpointId, prefix)).map((file) => ({
      ...file,
      key: 'jobs/0123456789abcdef/chk-1/out-0',
    }));
  const { history } = await fixture.until(
    () => fixture.client.checkpoints(jobId),
    ({ counts }) => counts.failed >= 1,
  );
  const failure = history.find(({ status }) => status === 'FAILED')?.failure ?? '';
  t.regex(
    failure,
    /^CHECKPOINT_FAILED: .*jobs\/0123456789abcdef\/chk-1\/out-0.*neither was written/,
  );
});
