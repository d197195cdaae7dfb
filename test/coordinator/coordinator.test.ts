import test from 'ava';
import { join } from 'node:path';
import { readFile, writeFile } from 'node:fs/promises';
import { readDiscovery } from '../../coordinator/discovery-file.js';
import { isMillraceError } from '../../core/errors.js';
import { TaskState, type Failure } from '../../proto/gen/millrace/v1/control.js';
import { exampleArchive, exampleGraph } from '../bundle-fixture.js';
import { CoordinatorFixture } from './coordinator-fixture.js';
import type { ScriptedWorker } from './scripted-worker.js';

const OFTEN = {
  checkpoint: {
    intervalMs: 20,
    timeoutMs: 60_000,
    retained: 2,
    minPauseMs: 0,
    tolerableFailures: 0,
    alignmentTimeoutMs: null,
  },
};

const failure: Failure = {
  code: 'USER_CODE_FAILED',
  message: 'USER_CODE_FAILED: operator "out" threw: no such thing; mend it',
  stack: 'Error: no such thing\n    at job.ts:12:3',
  operator: 'out',
  subtask: 1,
  worker: 'w1',
};

async function codeOf(promise: Promise<unknown>): Promise<string> {
  try {
    await promise;
  } catch (error) {
    return isMillraceError(error) ? error.code : String(error);
  }
  return 'none';
}

/** Lets every task write one real file. */
function writeFiles(fixture: CoordinatorFixture, worker: ScriptedWorker): void {
  worker.script.files = async (task, _checkpointId, prefix) => {
    const key = `${prefix}${task.vertex}-${task.subtask}`;
    const { lengthBytes, sha256 } = await fixture.blobs.put(key, Buffer.from(key));
    const groups = { keyGroupStart: 0, keyGroupEnd: 0 };
    return [{ operator: task.vertex, kind: 'operator', key, lengthBytes, sha256, ...groups }];
  };
}

test('a job is deployed over the workers, runs, drains, commits its last checkpoint and ends', async (t) => {
  const fixture = await CoordinatorFixture.start(t);
  const [w1, w2] = [await fixture.worker('w1'), await fixture.worker('w2')];
  const jobId = await fixture.submit({ parallelism: 3 });
  const running = await fixture.running(jobId);
  t.is(running.status, 'RUNNING');
  const { clusterId, ...cluster } = await fixture.client.cluster();
  t.regex(clusterId, /^[0-9a-f]{16}$/);
  t.like(cluster, { workers: 2, slotsTotal: 4, slotsFree: 1, jobsRunning: 1 });
  const deploy = [...w1.deployed.values()][0];
  t.is(deploy?.parallelism, 3);
  t.is(deploy?.restore, undefined);
  t.deepEqual(deploy?.slices.map(({ workerId }) => workerId).sort(), ['w1', 'w1', 'w2'].sort());
  w1.reportAll(TaskState.TASK_STATE_DRAINED);
  w2.reportAll(TaskState.TASK_STATE_DRAINED);
  const ended = await fixture.job(jobId, (job) => job.status === 'FINISHED');
  t.is(ended.restarts, 0);
  t.not(ended.finishedAtMs, null);
  const { counts, latestCompleted } = await fixture.client.checkpoints(jobId);
  t.like(counts, { triggered: 1, completed: 1, failed: 0, inProgress: 0 });
  t.like(latestCompleted, { acknowledged: 6, tasks: 6, kind: 'checkpoint' });
  t.is(latestCompleted?.taskTimings[0]?.alignmentMs, 2);
  t.is((await fixture.client.cluster()).slotsFree, 4);
  t.is(await codeOf(fixture.client.cancelJob(jobId)), 'JOB_STATE_CONFLICT');
});

test('a worker that dies takes its attempt with it, and the job goes on from its checkpoint', async (t) => {
  const fixture = await CoordinatorFixture.start(t);
  const [w1, w2] = [await fixture.worker('w1', 2), await fixture.worker('w2', 2)];
  const jobId = await fixture.submit({ graph: OFTEN, parallelism: 2 });
  writeFiles(fixture, w1);
  writeFiles(fixture, w2);
  await fixture.until(
    () => fixture.client.checkpoints(jobId),
    ({ counts }) => counts.completed >= 3,
  );
  w1.kill();
  const again = await fixture.running(jobId, 2);
  t.is(again.restarts, 1);
  t.like(again.failures[0], { code: 'WORKER_LOST', worker: 'w1', attempt: 1 });
  const { restore } = w2.deployed.get(0) ?? {};
  t.true((restore?.checkpointId ?? 0) >= 3);
  t.like(JSON.parse(restore?.manifest ?? ''), { checkpointId: restore?.checkpointId, jobId });
  t.is((await fixture.client.checkpoints(jobId)).counts.restored, 1);
  t.is((await fixture.client.workers()).workers.length, 1);
});

test('a worker that still runs a job which no coordinator runs any more is told to end it', async (t) => {
  const fixture = await CoordinatorFixture.start(t);
  const worker = await fixture.worker('w1');
  const attempt = { jobId: '0123456789abcdef', attempt: 4, epoch: 1 };
  worker.send({ $case: 'metrics', value: { attempt, operators: [], tasks: [] } });
  const { jobId } = attempt;
  t.deepEqual(await worker.next('cancelAttempt'), { jobId, attempt: 4 });
});

test('the next attempt waits until every slot of the failed one is released', async (t) => {
  const fixture = await CoordinatorFixture.start(t);
  const worker = await fixture.worker('w1', 4);
  worker.script.releases = false;
  const jobId = await fixture.submit({ parallelism: 2 });
  await fixture.running(jobId);
  worker.report(1, TaskState.TASK_STATE_FAILED, failure);
  await worker.next('cancelAttempt', ({ attempt }) => attempt === 1);
  const waiting = await fixture.job(jobId, (job) => job.waitingFor !== null);
  t.regex(waiting.waitingFor ?? '', /release of 2 slots/);
  t.like(waiting.failures[0], { operator: 'out', subtask: 1, worker: 'w1', stack: failure.stack });
  worker.release(0);
  t.is((await fixture.client.job(jobId)).attempt, 1);
  worker.release(1);
  await fixture.running(jobId, 2);
});

test('an acknowledgement of an earlier attempt, or a late one, changes nothing', async (t) => {
  const fixture = await CoordinatorFixture.start(t);
  const worker = await fixture.worker('w1', 2);
  worker.script.acknowledges = false;
  const jobId = await fixture.submit({ graph: OFTEN, parallelism: 1 });
  const { attempt, checkpointId } = await worker.next('triggerCheckpoint');
  worker.report(0, TaskState.TASK_STATE_FAILED, failure);
  await fixture.running(jobId, 2);
  const second = await worker.next('triggerCheckpoint', (next) => next.attempt?.attempt === 2);
  t.true(second.checkpointId > checkpointId);
  if (attempt === undefined || second.attempt === undefined) return t.fail('attempts are set');
  await worker.acknowledge(attempt, checkpointId);
  await worker.acknowledge(attempt, second.checkpointId);
  await worker.acknowledge(
    { ...second.attempt, epoch: second.attempt.epoch + 1 },
    second.checkpointId,
  );
  await worker.acknowledge(second.attempt, second.checkpointId);
  const { counts, latestCompleted } = await fixture.until(
    () => fixture.client.checkpoints(jobId),
    (checkpoints) => checkpoints.counts.completed > 0,
  );
  t.is(counts.completed, 1);
  t.is(latestCompleted?.checkpointId, second.checkpointId);
});

test('restarts end as the strategy says, with the failure and its place', async (t) => {
  const fixture = await CoordinatorFixture.start(t);
  const worker = await fixture.worker('w1', 2);
  const restart = { kind: 'fixedDelay', attempts: 1, delayMs: 0 } as const;
  const jobId = await fixture.submit({ graph: { restart }, parallelism: 2 });
  for (const attempt of [1, 2]) {
    await fixture.running(jobId, attempt);
    worker.report(1, TaskState.TASK_STATE_FAILED, failure);
  }
  const failed = await fixture.job(jobId, (job) => job.status === 'FAILED');
  t.is(failed.restarts, 1);
  t.true(failed.failures.length >= 2);
  await fixture.restart();
  const recorded = await fixture.client.job(jobId);
  t.is(recorded.status, 'FAILED');
  t.regex(recorded.failures[0]?.message ?? '', /no such thing.*not restarted because/);
});

test('a cancel ends the job and frees its slots', async (t) => {
  const fixture = await CoordinatorFixture.start(t);
  await fixture.worker('w1', 2);
  const jobId = await fixture.submit({ parallelism: 2 });
  await fixture.running(jobId);
  await fixture.client.cancelJob('example');
  await fixture.job(jobId, (job) => job.status === 'CANCELED');
  t.is((await fixture.client.cluster()).slotsFree, 2);
});

test('a job without enough slots waits, then fails saying how many there are', async (t) => {
  const fixture = await CoordinatorFixture.start(t, { slotRequestTimeoutMs: 100 });
  await fixture.worker('w1', 1);
  const jobId = await fixture.submit({ parallelism: 3, exactParallelism: true });
  const failed = await fixture.job(jobId, (job) => job.status === 'FAILED');
  t.regex(failed.failures[0]?.message ?? '', /needs 3 slots, but 1 of the cluster's 1 are free/);
});

test('a job that waits for slots starts when a worker comes', async (t) => {
  const fixture = await CoordinatorFixture.start(t);
  await fixture.worker('w1', 1);
  const jobId = await fixture.submit({ parallelism: 2, exactParallelism: true });
  const waiting = await fixture.job(jobId, (job) => job.waitingFor !== null);
  t.is(waiting.waitingFor, "2 slots; 1 of the cluster's 1 are free");
  await fixture.worker('w2', 1);
  await fixture.running(jobId);
});

test('stop with a savepoint: it completes, the job finishes, and another starts from it', async (t) => {
  const fixture = await CoordinatorFixture.start(t);
  const worker = await fixture.worker('w1', 2);
  const jobId = await fixture.submit({ parallelism: 1 });
  await fixture.running(jobId);
  writeFiles(fixture, worker);
  const { savepointId } = await fixture.client.stopWithSavepoint(jobId);
  const trigger = await worker.next('triggerCheckpoint');
  t.like(trigger, { stopAfter: true });
  t.regex(trigger.prefix, /^savepoints\//);
  await fixture.job(jobId, (job) => job.status === 'FINISHED');
  t.is((await fixture.client.savepoint(jobId, savepointId)).status, 'COMPLETED');
  const { savepoints } = await fixture.client.savepoints();
  t.like(savepoints, [{ savepointId, jobId, jobName: 'example' }]);
  const next = await fixture.submit({ parallelism: 1, fromSavepoint: savepointId });
  const job = await fixture.running(next);
  t.is(job.restoredFrom, `savepoints/${savepointId}/`);
  t.is(worker.deployed.get(0)?.restore?.checkpointId, trigger.checkpointId);
});

test('a savepoint that is unknown, damaged or of another job is refused before the job exists', async (t) => {
  const fixture = await CoordinatorFixture.start(t);
  const worker = await fixture.worker('w1', 2);
  const jobId = await fixture.submit({ parallelism: 1 });
  await fixture.running(jobId);
  writeFiles(fixture, worker);
  const { savepointId } = await fixture.client.triggerSavepoint(jobId);
  await fixture.until(
    () => fixture.client.savepoint(jobId, savepointId),
    ({ status }) => status === 'COMPLETED',
  );
  const from = (fromSavepoint: string, graph = {}): Promise<string> =>
    codeOf(fixture.submit({ fromSavepoint, parallelism: 1, graph }));
  t.is(await from('nope'), 'CHECKPOINT_NOT_FOUND');
  t.is(await from('../../etc/passwd'), 'CHECKPOINT_NOT_FOUND');
  t.is(await from(savepointId, { jobName: 'other' }), 'STATE_NOT_RESTORABLE');
  const path = join(fixture.folder, 'blobs', 'savepoints', savepointId, 'manifest.json');
  const bytes = await readFile(path);
  await writeFile(path, Buffer.from(bytes.toString().replace('"attempt":1', '"attempt":2')));
  t.is(await from(savepointId), 'CHECKPOINT_CORRUPT');
  await writeFile(path, bytes);
  await fixture.blobs.delete(`savepoints/${savepointId}/out-0`);
  t.is(await from(savepointId), 'CHECKPOINT_CORRUPT');
  t.is((await fixture.client.jobs()).jobs.length, 1);
});

test('old checkpoints and those that never completed leave no files', async (t) => {
  const fixture = await CoordinatorFixture.start(t);
  const worker = await fixture.worker('w1', 2);
  const jobId = await fixture.submit({ graph: OFTEN, parallelism: 1 });
  writeFiles(fixture, worker);
  await fixture.until(
    () => fixture.client.checkpoints(jobId),
    ({ counts }) => counts.completed >= 5,
  );
  await fixture.client.cancelJob(jobId);
  await fixture.job(jobId, (job) => job.status === 'CANCELED');
  const { history } = await fixture.client.checkpoints(jobId);
  const retained = history.filter(({ status }) => status === 'COMPLETED').slice(0, 2);
  const folders = await fixture.until(
    async () => new Set((await fixture.keys(`jobs/${jobId}/`)).map((key) => key.split('/')[2])),
    ({ size }) => size <= 2,
  );
  t.deepEqual(
    folders,
    new Set(retained.map(({ checkpointId }) => `chk-${checkpointId}`).reverse()),
  );
});

test('a coordinator that starts again leads under a higher epoch and goes on with its jobs', async (t) => {
  const fixture = await CoordinatorFixture.start(t);
  const jobs = { graph: OFTEN, parallelism: 2 };
  const before = await fixture.worker('w1', 2);
  const jobId = await fixture.submit(jobs);
  writeFiles(fixture, before);
  await fixture.until(
    () => fixture.client.checkpoints(jobId),
    ({ counts }) => counts.completed >= 1,
  );
  const { epoch } = fixture.coordinator;
  const { clusterId } = await fixture.client.cluster();
  await fixture.restart();
  t.true(fixture.coordinator.epoch > epoch);
  t.regex(await before.ended, /register again/);
  t.is((await fixture.client.cluster()).clusterId, clusterId);
  t.like(await readDiscovery(fixture.folder), {
    rest: fixture.coordinator.restAddress,
    rpc: fixture.coordinator.rpcAddress,
    epoch: fixture.coordinator.epoch,
  });
  // The worker comes back with the old attempt still in its slots.
  const after = await fixture.worker('w1', 2);
  const cancel = await after.next('cancelAttempt', (value) => value.jobId === jobId);
  t.is(cancel.attempt, 1);
  await fixture.running(jobId, 2);
  t.is(after.attemptOf(0).epoch, fixture.coordinator.epoch);
  t.true((after.deployed.get(0)?.restore?.checkpointId ?? 0) >= 1);
  t.is((await fixture.client.job('example')).jobId, jobId);
});

test('figures that tasks report are shown per operator and vertex', async (t) => {
  const fixture = await CoordinatorFixture.start(t);
  const worker = await fixture.worker('w1', 2);
  const jobId = await fixture.submit({ parallelism: 2 });
  await fixture.running(jobId);
  for (const subtask of [0, 1]) {
    worker.send({
      $case: 'metrics',
      value: {
        attempt: worker.attemptOf(subtask),
        operators: [
          {
            operator: 'numbers',
            subtask,
            recordsIn: 0,
            recordsOut: 10,
            sideOutputs: { late: 1 },
            metrics: {
              pending_records: 5,
              records_lag_max: 3 + subtask,
              below_zero_max: -2 - subtask,
            },
          },
          {
            operator: 'unknown',
            subtask,
            recordsIn: 9,
            recordsOut: 9,
            sideOutputs: {},
            metrics: {},
          },
        ],
        tasks: [
          {
            task: { vertex: 'numbers', subtask },
            busyMsPerSecond: 100 + 100 * subtask,
            idleMsPerSecond: 0,
            backPressuredMsPerSecond: 0,
            currentWatermark: 1_000 + subtask,
          },
        ],
      },
    });
  }
  const { vertices } = await fixture.job(
    jobId,
    (job) => job.vertices[0]?.operators[0]?.recordsOut === 20,
  );
  t.like(vertices[0], { id: 'numbers', busyMsPerSecond: 150, watermarkMs: 1_000 });
  t.deepEqual(vertices[0]?.operators[0]?.sideOutputs, { late: 2 });
  t.deepEqual(vertices[0]?.operators[0]?.metrics, {
    pending_records: 10,
    records_lag_max: 4,
    below_zero_max: -2,
  });
  t.true((vertices[0]?.watermarkLagMs ?? 0) > 1_000_000);
  t.is(vertices[1]?.watermarkMs, null);
  const metrics = await (await fetch(`http://${fixture.coordinator.restAddress}/metrics`)).text();
  t.regex(metrics, /millrace_workers_registered 1/);
  t.regex(metrics, /millrace_slots_free 0/);
});

test('jobs that ended long ago are forgotten with their files, their savepoints are not', async (t) => {
  const fixture = await CoordinatorFixture.start(t, { endedJobsMax: 0 });
  const worker = await fixture.worker('w1', 2);
  const jobId = await fixture.submit({ parallelism: 1, graph: OFTEN });
  writeFiles(fixture, worker);
  await fixture.until(
    () => fixture.client.checkpoints(jobId),
    ({ counts }) => counts.completed >= 2,
  );
  const { savepointId } = await fixture.client.stopWithSavepoint(jobId);
  await fixture.job(jobId, (job) => job.status === 'FINISHED');
  const next = await fixture.submit({ parallelism: 1, fromSavepoint: savepointId });
  const { jobs } = await fixture.until(
    () => fixture.client.jobs(),
    (list) => list.jobs.length === 1,
  );
  t.is(jobs[0]?.jobId, next);
  t.deepEqual(await fixture.keys(`jobs/${jobId}/`), []);
  t.is((await fixture.keys(`savepoints/${savepointId}/`)).length, 3);
});

test('a bundle goes with the last job that is made of it, unless it was uploaded again', async (t) => {
  const fixture = await CoordinatorFixture.start(t, { endedJobsMax: 0 });
  await fixture.worker('w1', 2);
  const submitAndEnd = async (graph = {}): Promise<string> => {
    const jobId = await fixture.submit({ parallelism: 1, graph });
    await fixture.running(jobId);
    await fixture.client.cancelJob(jobId);
    await fixture.job(jobId, (job) => job.status === 'CANCELED');
    return jobId;
  };
  const bundles = (): Promise<string[]> => fixture.keys('bundles/');
  const gone = async (jobId: string): Promise<void> => {
    await fixture.until(
      () => fixture.client.jobs(),
      ({ jobs }) => jobs.every((job) => job.jobId !== jobId),
    );
  };
  const first = await submitAndEnd();
  const [shared] = await bundles();
  const second = await submitAndEnd();
  await gone(first);
  t.deepEqual(await bundles(), [shared], 'the second job is made of it');
  const third = await submitAndEnd(OFTEN);
  await gone(second);
  const [other] = await bundles();
  t.not(other, shared);
  t.is((await bundles()).length, 1);
  const { bundleId } = await fixture.client.uploadBundle(await exampleArchive(exampleGraph()));
  const { bundleId: again } = await fixture.client.uploadBundle(
    await exampleArchive(exampleGraph(OFTEN)),
  );
  await fixture.client.submitJob({ bundleId, parallelism: 1 });
  await gone(third);
  t.true((await bundles()).includes(`bundles/${again}.tar.gz`), 'its submission may be under way');
});

test('requests about jobs that are not there, or not clear, are refused', async (t) => {
  const fixture = await CoordinatorFixture.start(t);
  const { client } = fixture;
  t.is(await codeOf(client.job('nope')), 'JOB_NOT_FOUND');
  t.is(await codeOf(client.submitJob({ bundleId: 'f'.repeat(64) })), 'BUNDLE_INVALID');
  t.is(await codeOf(client.uploadBundle(Buffer.from('x'))), 'BUNDLE_INVALID');
  t.is(await codeOf(fixture.submit({ parallelism: 1000 })), 'JOB_INVALID');
  await fixture.submit({ parallelism: 1 });
  await fixture.submit({ parallelism: 1 });
  t.is(await codeOf(client.job('example')), 'JOB_STATE_CONFLICT');
});

test('the coordinator refuses to listen beyond this machine unless told loudly', async (t) => {
  const restAddress = { host: '0.0.0.0', port: 0 };
  t.is(await codeOf(CoordinatorFixture.start(t, { restAddress })), 'USAGE');
  const fixture = await CoordinatorFixture.start(t, {
    restAddress,
    exposeWithoutAuthentication: true,
  });
  t.regex(fixture.coordinator.restAddress, /^0\.0\.0\.0:\d+$/);
});
