/** How many slots a job runs on: traces of the job decider as slots come, go and are wished for. */
import test from 'ava';
import type { JobEffect } from '../../core/job-decider.js';
import type { StreamGraph } from '../../core/stream-graph.js';
import { JobTrace } from './job-trace.js';
import { SCALING_CONFIG, STREAM_GRAPH, TASKS } from './job-fixture.js';

const [FIRST] = TASKS;
if (FIRST === undefined) throw new Error('the fixture has tasks');

/** A job that runs on what there is, up to `desiredParallelism`. */
function adaptive(desiredParallelism: number, streamGraph: StreamGraph = STREAM_GRAPH): JobTrace {
  const scaling = { desiredParallelism, exact: false, config: SCALING_CONFIG };
  return new JobTrace({ streamGraph, scaling });
}

function running(desiredParallelism: number, slots: number): JobTrace {
  const job = adaptive(desiredParallelism);
  job.slots(slots);
  job.tell({ kind: 'submitted' });
  job.nowMs += SCALING_CONFIG.stabilizationMs;
  job.tell({ kind: 'attemptPrepared', attempt: 1 });
  grant(job, Math.min(slots, desiredParallelism));
  return job;
}

/** Grants so many slots and lets all tasks run. */
function grant(job: JobTrace, slots: number): void {
  const slices = Array.from({ length: slots }, (_, slice) => ({
    workerId: `w${slice + 1}`,
    dataAddress: `w${slice + 1}:7000`,
  }));
  job.tell({ kind: 'slotsGranted', attempt: job.state.execution.attempt, slices });
  job.allTasks('RUNNING');
}

/** From the checkpoint that was wanted to the next attempt's request for slots. */
function redeploy(job: JobTrace): readonly JobEffect[] {
  job.checkpoint();
  job.releaseSlots();
  job.wake();
  const { attempt } = job.state.execution;
  return job.tell({ kind: 'attemptPrepared', attempt });
}

function kinds(effects: readonly JobEffect[]): readonly string[] {
  return effects.map(({ kind }) => kind);
}

function refusalOf(job: JobTrace, parallelism: number): string | undefined {
  const [effect] = job.tell({ kind: 'rescaleRequested', parallelism });
  return effect?.kind === 'rescaleRefused' ? effect.failure.message : undefined;
}

test('a job is rescaled on request: slots first, then a checkpoint, then the next attempt', (t) => {
  const job = running(2, 4);
  job.lines.length = 0;
  job.say('the wish is recorded, and what the next attempt needs is loaded ahead');
  job.tell({ kind: 'rescaleRequested', parallelism: 3 });
  job.say('a second wish is refused until the first is done');
  job.tell({ kind: 'rescaleRequested', parallelism: 4 });
  job.say('all is loaded: the next checkpoint to complete is the one to go on from');
  job.tell({ kind: 'slotsPrepared' });
  job.say(
    'no failure, no delay: the attempt ends, its slots are released, the next one is prepared',
  );
  job.nowMs += 40;
  const effects = redeploy(job);
  t.deepEqual(effects, [{ kind: 'requestSlots', attempt: 2, count: 3 }]);
  job.nowMs += 60;
  grant(job, 3);
  const { execution, scaling } = job.state;
  t.like(execution, { status: 'RUNNING', attempt: 2, restarts: 0, rescales: 1, failures: [] });
  t.is(execution.restart.restarts, 0, 'the restart strategy has no part in it');
  t.is(execution.tasks.size, 6);
  t.is(job.state.restored?.checkpointId, 1);
  t.like(scaling.history[0], { from: 2, to: 3, reason: 'REQUESTED', attempt: 2 });
  job.say('a checkpoint of the new attempt is acknowledged by all of its tasks');
  job.wake();
  job.commit(job.checkpoint());
  job.matches(t, 'rescale');
});

test('a job starts on fewer slots than desired, and goes up once others have come to stay', (t) => {
  // Loading may take as long as a checkpoint of the fixture may.
  const checkpoint = { ...STREAM_GRAPH.checkpoint, timeoutMs: 60_000 };
  const job = adaptive(4, { ...STREAM_GRAPH, checkpoint });
  job.slots(2);
  job.tell({ kind: 'submitted' });
  job.say('more slots may be about to come: a short wait');
  job.tell({ kind: 'attemptPrepared', attempt: 1 });
  job.wake();
  grant(job, 2);
  job.say('a worker comes, and the time since the last change is too short: it waits');
  job.nowMs += 2_000;
  job.slots(4);
  t.is(job.state.scaling.phase, 'STABILIZING');
  job.say('it goes again: nothing has happened');
  job.nowMs += 100;
  job.slots(2);
  t.is(job.state.scaling.phase, 'STABLE');
  job.say('another one comes and stays');
  job.nowMs += 20_000;
  job.wake();
  job.checkpoint();
  job.slots(4);
  t.is(job.state.scaling.phase, 'STABILIZING');
  job.nowMs += SCALING_CONFIG.stabilizationMs;
  job.tell({ kind: 'timerElapsed' });
  job.say('loading takes too long: it goes on beside the checkpoint');
  job.nowMs = job.state.scaling.preparing?.untilMs ?? 0;
  job.tell({ kind: 'timerElapsed' });
  redeploy(job);
  grant(job, 4);
  t.like(job.state.scaling.history[0], { from: 2, to: 4, reason: 'SLOTS_ADDED' });
  job.matches(t, 'slots-come');
});

test('workers that come and go faster than slots settle never move a job', (t) => {
  const job = running(4, 2);
  for (let i = 0; i < 200; i++) {
    job.nowMs += 900;
    job.slots(i % 2 === 0 ? 4 : 3);
    job.tell({ kind: 'timerElapsed' });
    t.true(['STABLE', 'STABILIZING'].includes(job.state.scaling.phase));
  }
  t.is(job.state.execution.attempt, 1);
});

test('slots that come one after the other cause one change in a cooldown', (t) => {
  const job = running(64, 1);
  let changes = 0;
  const startedAtMs = job.nowMs;
  for (let slots = 2; slots < 30; slots++) {
    job.slots(slots);
    job.nowMs += 2_000;
    job.tell({ kind: 'timerElapsed' });
    if (job.state.scaling.phase !== 'PREPARING_SLOTS') continue;
    job.tell({ kind: 'slotsPrepared' });
    redeploy(job);
    grant(job, slots);
    changes++;
  }
  t.true(changes > 2);
  t.true(changes <= (job.nowMs - startedAtMs) / SCALING_CONFIG.cooldownMs + 1, `${changes}`);
});

test('a worker that leaves has its slots back after one checkpoint', (t) => {
  const job = running(2, 3);
  job.lines.length = 0;
  job.say('a spare slot is elsewhere: the same parallelism in another place, at once');
  job.slots(2, 'w1');
  job.tell({ kind: 'slotsPrepared' });
  redeploy(job);
  t.is(job.state.scaling.claim?.slots, 2);
  const slices = ['w3', 'w2'].map((workerId) => ({ workerId, dataAddress: `${workerId}:7000` }));
  job.tell({ kind: 'slotsGranted', attempt: 2, slices });
  job.allTasks('RUNNING');
  t.like(job.state.scaling.history[0], { from: 2, to: 2, reason: 'WORKER_LEAVING' });
  job.say('the next one leaves only half of the slots: half the parallelism');
  job.slots(1, 'w3');
  job.tell({ kind: 'slotsPrepared' });
  redeploy(job);
  grant(job, 1);
  t.like(job.state.scaling.history[1], { from: 2, to: 1, reason: 'WORKER_LEAVING' });
  job.say('the last one leaves nothing: the job stays until it is gone');
  job.slots(0, 'w1');
  t.is(job.state.scaling.phase, 'STABLE');
  t.is(job.state.execution.restarts, 0);
  job.matches(t, 'worker-leaves');
});

test('a lost worker: the job waits a moment for another one, then makes do with what is left', (t) => {
  const job = running(4, 4);
  job.lines.length = 0;
  job.wake();
  job.commit(job.checkpoint());
  job.tell({ kind: 'workerLost', workerId: 'w4', reason: 'connection closed' });
  job.slots(3);
  job.releaseSlots();
  job.wake();
  t.deepEqual(kinds(job.tell({ kind: 'attemptPrepared', attempt: 2 })), []);
  job.say('none came');
  t.deepEqual(job.wake(), [{ kind: 'requestSlots', attempt: 2, count: 3 }]);
  grant(job, 3);
  t.like(job.state.execution, { restarts: 1, rescales: 0, status: 'RUNNING' });
  t.like(job.state.scaling.history[0], { from: 4, to: 3, reason: 'SLOTS_LOST' });
  job.matches(t, 'slots-lost');
});

test('a restart with as many slots as before waits for no more, whatever is desired', (t) => {
  const job = running(128, 3);
  job.taskFailed(FIRST, 'USER_CODE_FAILED', 'x is not a function; see the stack');
  job.releaseSlots();
  job.slots(3);
  job.wake();
  const effects = job.tell({ kind: 'attemptPrepared', attempt: 2 });
  t.deepEqual(effects, [{ kind: 'requestSlots', attempt: 2, count: 3 }]);
});

test('slots that another job was faster to take: the request is withdrawn and made anew', (t) => {
  const job = adaptive(4);
  job.slots(4);
  job.tell({ kind: 'submitted' });
  job.tell({ kind: 'attemptPrepared', attempt: 1 });
  t.deepEqual(job.slots(3), [{ kind: 'cancelSlotRequest', attempt: 1 }]);
  t.deepEqual(job.wake(), [{ kind: 'requestSlots', attempt: 1, count: 3 }]);
  const slices = ['w1', 'w2', 'w3', 'w4'].map((workerId) => ({ workerId, dataAddress: 'x:1' }));
  const late = job.tell({ kind: 'slotsGranted', attempt: 1, slices });
  t.deepEqual(kinds(late), ['returnSlots'], 'what was granted before the withdrawal');
  grant(job, 3);
  t.is(job.state.execution.status, 'RUNNING');
});

test('a job that can have no slot at all fails after a while, and says so', (t) => {
  const job = adaptive(4);
  job.tell({ kind: 'submitted' });
  job.tell({ kind: 'attemptPrepared', attempt: 1 });
  job.wake();
  t.is(job.nowMs, SCALING_CONFIG.slotWaitMs);
  t.is(job.state.execution.status, 'FAILED');
  t.regex(
    job.state.execution.terminalFailure?.message ?? '',
    /^NOT_ENOUGH_SLOTS: job "count" can't do without 1 slots, but could have 0 of the cluster's 0/,
  );
});

test('an exact job asks for all of its slots and stays in the queue', (t) => {
  const scaling = { desiredParallelism: 3, exact: true, config: SCALING_CONFIG };
  const job = new JobTrace({ scaling });
  job.slots(2);
  job.tell({ kind: 'submitted' });
  const effects = job.tell({ kind: 'attemptPrepared', attempt: 1 });
  t.deepEqual(effects, [{ kind: 'requestSlots', attempt: 1, count: 3 }]);
  t.deepEqual(job.slots(1), []);
  grant(job, 3);
  job.slots(9);
  t.is(job.state.scaling.phase, 'STABLE', 'more slots are nothing to it');
  job.slots(2, 'w1');
  t.is(job.state.scaling.phase, 'STABLE', 'fewer are of no use to it');
});

test('operators of a fixed parallelism set the least that a job can do with', (t) => {
  const nodes = STREAM_GRAPH.nodes.map((node) =>
    node.name === 'numbers' ? { ...node, parallelism: 3 } : node,
  );
  const job = adaptive(2, { ...STREAM_GRAPH, nodes });
  job.slots(2);
  job.tell({ kind: 'submitted' });
  job.tell({ kind: 'attemptPrepared', attempt: 1 });
  t.is(job.state.scaling.phase, 'WAITING');
  t.deepEqual(job.slots(3), [{ kind: 'requestSlots', attempt: 1, count: 3 }]);
  grant(job, 3);
  t.is(job.state.execution.tasks.size, 3 + 2);
  t.is(job.state.execution.graph.defaultParallelism, 2);
});

test('a rescale beyond what there is, or out of its time, is refused in words', (t) => {
  const job = running(2, 4);
  t.regex(refusalOf(job, 0) ?? '', /^PARAM_INVALID: parallelism 0 is outside 1\.\.128/);
  t.regex(refusalOf(job, 129) ?? '', /^PARAM_INVALID: .*max parallelism .* fixed for its life/);
  t.regex(
    refusalOf(job, 5) ?? '',
    /^NOT_ENOUGH_SLOTS: parallelism 5 needs 5 slots, and job "count" can have 4 of the cluster's 4/,
  );
  t.is(job.state.scaling.desiredParallelism, 2);
  t.is(refusalOf(job, 2), undefined, 'where it is already');
  t.is(job.state.scaling.phase, 'STABLE');
  t.is(refusalOf(job, 4), undefined);
  t.regex(refusalOf(job, 3) ?? '', /^JOB_STATE_CONFLICT: .* is being rescaled from parallelism 2/);
  job.tell({ kind: 'slotsPrepared' });
  job.checkpoint();
  t.regex(refusalOf(job, 3) ?? '', /^JOB_STATE_CONFLICT: .* is being rescaled already/);

  const stopping = running(2, 4);
  stopping.tell({ kind: 'savepointRequested', request: { savepointId: 's', stopAfter: true } });
  t.regex(refusalOf(stopping, 3) ?? '', /^JOB_STATE_CONFLICT: .* is coming to its end/);
  const drained = running(2, 4);
  drained.allTasks('DRAINED');
  t.regex(refusalOf(drained, 3) ?? '', /^JOB_STATE_CONFLICT: .* is coming to its end/);
  const failed = running(2, 4);
  failed.taskFailed(FIRST, 'USER_CODE_FAILED', 'x is not a function; see the stack');
  t.regex(
    refusalOf(failed, 3) ?? '',
    /^JOB_STATE_CONFLICT: .* is RESTARTING; a job is rescaled while/,
  );
});

test('a stop that comes in during a rescale is not lost: it stops the next attempt', (t) => {
  const job = running(2, 4);
  job.wake();
  const open = job.allocate();
  job.tell({ kind: 'rescaleRequested', parallelism: 3 });
  job.tell({ kind: 'slotsPrepared' });
  job.tell({ kind: 'savepointRequested', request: { savepointId: 's', stopAfter: true } });
  job.acknowledge(open);
  job.tell({ kind: 'manifestWritten', checkpointId: open });
  job.tell({ kind: 'completed', checkpointId: open });
  job.releaseSlots();
  job.wake();
  job.tell({ kind: 'attemptPrepared', attempt: 2 });
  grant(job, 3);
  job.commit(job.checkpoint());
  job.allTasks('FINISHED');
  t.like(job.state.execution, { status: 'FINISHED', attempt: 2, rescales: 1 });
});

test('an attempt that fails on the way to a rescale restarts at the new parallelism', (t) => {
  const job = running(2, 4);
  job.tell({ kind: 'rescaleRequested', parallelism: 4 });
  job.tell({ kind: 'slotsPrepared' });
  job.taskFailed(FIRST, 'USER_CODE_FAILED', 'x is not a function; see the stack');
  job.releaseSlots();
  job.nowMs += 500;
  job.wake();
  const effects = job.tell({ kind: 'attemptPrepared', attempt: 2 });
  t.deepEqual(effects, [{ kind: 'requestSlots', attempt: 2, count: 4 }]);
  grant(job, 4);
  t.like(job.state.execution, { restarts: 1, rescales: 0 });
  t.like(job.state.scaling.history[0], { from: 2, to: 4, reason: 'REQUESTED' });
});

test('a checkpoint that fails changes nothing: the next one that completes is gone on from', (t) => {
  const job = running(2, 4);
  job.tell({ kind: 'rescaleRequested', parallelism: 4 });
  job.tell({ kind: 'slotsPrepared' });
  const failure = { code: 'CHECKPOINT_FAILED', message: 'CHECKPOINT_FAILED: disk full' } as const;
  job.tell({ kind: 'idFailed', attempt: 1, failure });
  t.is(job.state.scaling.phase, 'CHECKPOINTING');
  job.wake();
  redeploy(job);
  grant(job, 4);
  t.is(job.state.execution.graph.defaultParallelism, 4);
});

test('a job that is canceled while it waits for slots, or is taken over, waits no more', (t) => {
  for (const kind of ['cancelRequested', 'superseded'] as const) {
    const job = adaptive(4);
    job.slots(2);
    job.tell({ kind: 'submitted' });
    job.tell({ kind: 'attemptPrepared', attempt: 1 });
    job.tell({ kind });
    t.is(job.state.scaling.phase, 'IDLE');
    t.deepEqual(job.slots(4), []);
  }
});
