/** Jobs that are rescaled, on request and as workers come and leave, by a real coordinator. */
import test from 'ava';
import type { JobDetails } from '../../api/rest/job-dto.js';
import { isMillraceError } from '../../core/errors.js';
import { CoordinatorFixture } from './coordinator-fixture.js';

/** Slots settle soon, and a job may be moved again at once. */
const QUICK = { slotStabilizationMs: 20, rescaleCooldownMs: 0 };

async function errorOf(promise: Promise<unknown>): Promise<string> {
  try {
    await promise;
    return 'none';
  } catch (error) {
    return isMillraceError(error) ? error.message : String(error);
  }
}

/** All tasks run, at this parallelism. */
function runsAt(
  fixture: CoordinatorFixture,
  jobId: string,
  parallelism: number,
): Promise<JobDetails> {
  return fixture.job(
    jobId,
    ({ vertices, scaling }) =>
      scaling?.underWay === false &&
      vertices.every(
        ({ subtasks }) =>
          subtasks.length === parallelism && subtasks.every(({ state }) => state === 'RUNNING'),
      ),
  );
}

test('a job is rescaled from a checkpoint of its own, on slots that were prepared', async (t) => {
  const fixture = await CoordinatorFixture.start(t);
  const [w1, w2] = [await fixture.worker('w1', 2), await fixture.worker('w2', 2)];
  const jobId = await fixture.submit({ parallelism: 2 });
  const before = await fixture.running(jobId);
  const workersBefore = before.vertices[0]?.subtasks.map(({ workerId }) => workerId) ?? [];
  t.deepEqual(await fixture.client.rescaleJob('example', 3), { jobId });
  const after = await runsAt(fixture, jobId, 3);
  t.like(after, { attempt: 2, parallelism: 3, desiredParallelism: 3, restarts: 0, rescales: 1 });
  t.is(after.restoredFrom, `jobs/${jobId}/chk-1/`);
  t.is(w1.prepared + w2.prepared, 3);
  const workersAfter = after.vertices[0]?.subtasks.map(({ workerId }) => workerId) ?? [];
  t.deepEqual(workersAfter.slice(0, 2), workersBefore, 'slices stay where they were');
  const [rescale] = after.scaling?.history ?? [];
  t.like(rescale, { from: 2, to: 3, reason: 'REQUESTED', attempt: 2 });
  t.true((rescale?.downtimeMs ?? -1) >= 0);
  const metrics = await (await fetch(`http://${fixture.coordinator.restAddress}/metrics`)).text();
  t.regex(metrics, /millrace_job_rescales_total\{job="example"\} 1/);
  t.regex(metrics, /millrace_last_rescale_downtime_seconds\{job="example"\} \d/);
  t.notRegex(metrics, /millrace_job_restarts_total\{/);
});

test('a wish is kept by the next coordinator', async (t) => {
  const fixture = await CoordinatorFixture.start(t, QUICK);
  const worker = await fixture.worker('w1', 4);
  worker.script.acknowledges = false;
  const jobId = await fixture.submit({ parallelism: 2 });
  await fixture.running(jobId);
  await fixture.client.rescaleJob(jobId, 3);
  const waiting = await fixture.client.job(jobId);
  t.like(waiting, { attempt: 1, parallelism: 2, desiredParallelism: 3 });
  t.regex(
    waiting.scaling?.why ?? '',
    /goes on at parallelism 3 from its next checkpoint, as asked/,
  );
  await fixture.restart();
  await fixture.worker('w1', 4);
  const after = await runsAt(fixture, jobId, 3);
  t.like(after, { desiredParallelism: 3, rescales: 0 });
});

test('a rescale that can not be is refused and changes nothing', async (t) => {
  const fixture = await CoordinatorFixture.start(t);
  const worker = await fixture.worker('w1', 3);
  const jobId = await fixture.submit({ parallelism: 2 });
  await fixture.running(jobId);
  const { client } = fixture;
  t.regex(await errorOf(client.rescaleJob(jobId, 4)), /^NOT_ENOUGH_SLOTS: parallelism 4 needs 4/);
  t.regex(await errorOf(client.rescaleJob(jobId, 129)), /^PARAM_INVALID: .* outside 1\.\.128/);
  t.regex(await errorOf(client.rescaleJob(jobId, 0)), /^USAGE: .*parallelism/);
  t.regex(await errorOf(client.rescaleJob('nope', 2)), /^JOB_NOT_FOUND/);
  worker.script.acknowledges = false;
  await client.rescaleJob(jobId, 3);
  t.regex(await errorOf(client.rescaleJob(jobId, 1)), /^JOB_STATE_CONFLICT: .* being rescaled/);
  await client.cancelJob(jobId);
  await fixture.job(jobId, ({ status }) => status === 'CANCELED');
  t.regex(await errorOf(client.rescaleJob(jobId, 2)), /^JOB_STATE_CONFLICT: .* has ended/);
});

test('a job starts on the slots there are, says so, and goes up with a worker that comes', async (t) => {
  const fixture = await CoordinatorFixture.start(t, QUICK);
  await fixture.worker('w1', 2);
  const jobId = await fixture.submit({ parallelism: 3 });
  const small = await runsAt(fixture, jobId, 2);
  t.like(small, { parallelism: 2, desiredParallelism: 3 });
  t.is(small.scaling?.why, "it can have 2 of the cluster's 2 slots");
  await fixture.worker('w2', 2);
  const large = await runsAt(fixture, jobId, 3);
  t.is(large.scaling?.why, null);
  t.like(large.scaling?.history[0], { from: 2, to: 3, reason: 'SLOTS_ADDED' });
  t.is((await fixture.client.cluster()).slotsFree, 1);
});

test('a job without a parallelism takes every slot, and those that another one leaves', async (t) => {
  const fixture = await CoordinatorFixture.start(t, QUICK);
  await fixture.worker('w1', 1);
  await fixture.worker('w2', 2);
  const first = await fixture.submit({ parallelism: 1, graph: { jobName: 'first' } });
  await runsAt(fixture, first, 1);
  const greedy = await fixture.submit({ graph: { jobName: 'greedy' } });
  await runsAt(fixture, greedy, 2);
  await fixture.client.cancelJob(first);
  t.like(await runsAt(fixture, greedy, 3), { desiredParallelism: 128 });
});

test('a lost worker that nobody replaces: the job goes on with fewer subtasks', async (t) => {
  const fixture = await CoordinatorFixture.start(t, QUICK);
  const [w1] = [await fixture.worker('w1', 1), await fixture.worker('w2', 2)];
  const jobId = await fixture.submit({ parallelism: 3 });
  await runsAt(fixture, jobId, 3);
  w1.kill();
  const after = await runsAt(fixture, jobId, 2);
  t.like(after, { restarts: 1, rescales: 0, desiredParallelism: 3 });
  t.like(after.scaling?.history[0], { from: 3, to: 2, reason: 'SLOTS_LOST' });
});

test('a worker that leaves may go once its jobs have moved; one that nothing can leave, at once', async (t) => {
  const fixture = await CoordinatorFixture.start(t, QUICK);
  const [w1, w2] = [await fixture.worker('w1', 1), await fixture.worker('w2', 1)];
  const jobId = await fixture.submit({ parallelism: 2 });
  await runsAt(fixture, jobId, 2);
  w1.send({ $case: 'leaving', value: {} });
  await w1.next('leaveGranted');
  const moved = await runsAt(fixture, jobId, 1);
  t.like(moved, { restarts: 0, rescales: 1 });
  t.is(w1.deployed.size, 0);
  const { workers } = await fixture.client.workers();
  t.is(workers.find(({ workerId }) => workerId === 'w1')?.leaving, true);
  w1.kill();
  w2.send({ $case: 'leaving', value: {} });
  await w2.next('leaveGranted');
  t.is((await fixture.client.job(jobId)).status, 'RUNNING');
});
