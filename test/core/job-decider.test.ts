import test from 'ava';
import { wakeAtMs } from '../../core/job-decider.js';
import { JobTrace } from './job-trace.js';
import { TASKS } from './job-fixture.js';

const [FIRST, ...OTHERS] = TASKS;
if (FIRST === undefined) throw new Error('the fixture has tasks');

test('a bounded job runs to its end', (t) => {
  const job = new JobTrace();
  job.say('submit: the attempt is recorded before anything else, then slots are asked for');
  job.tell({ kind: 'submitted' });
  job.start('w1', 'w2');
  job.say('a periodic checkpoint');
  job.wake();
  const first = job.checkpoint();
  job.commit(first);
  job.say('all input has ended: the final checkpoint, its commits, and only then the end');
  job.allTasks('DRAINED');
  const last = job.checkpoint();
  job.commit(last);
  job.allTasks('FINISHED');
  t.is(job.state.execution.status, 'FINISHED');
  t.is(wakeAtMs(job.state), undefined);
  job.matches(t, 'bounded-job');
});

test('a lost worker costs one attempt', (t) => {
  const job = new JobTrace();
  job.tell({ kind: 'submitted' });
  job.start('w1', 'w2');
  job.wake();
  job.checkpoint();
  job.wake();
  const open = job.allocate();
  job.acknowledge(open, [FIRST]);
  job.say('the worker goes while checkpoint 2 is open: it is aborted, its files are discarded');
  job.tell({ kind: 'workerLost', workerId: 'w2', reason: 'connection closed' });
  job.say('late reports of attempt 1 change nothing');
  job.acknowledge(open, OTHERS);
  job.say('the other slot is released: once more for what was still being uploaded');
  job.tell({
    kind: 'slotState',
    attempt: { jobId: 'j1', attempt: 1, epoch: 1 },
    slice: 0,
    released: true,
  });
  job.say('after the delay attempt 2 restores from checkpoint 1');
  job.wake();
  job.start('w1', 'w3');
  t.is(job.state.execution.restarts, 1);
  t.is(job.state.execution.failures.at(-1)?.cause.code, 'WORKER_LOST');
  job.matches(t, 'worker-lost');
});

test('an unanswered checkpoint times out, and a second failure in a row restarts the job', (t) => {
  const job = new JobTrace();
  job.tell({ kind: 'submitted' });
  job.start('w1', 'w2');
  job.wake();
  job.acknowledge(job.allocate(), [FIRST]);
  job.say('nothing more comes: timeout');
  job.wake();
  job.wake();
  const second = job.allocate();
  job.say('a task declines the next one');
  job.tell({
    kind: 'declined',
    attempt: { jobId: 'j1', attempt: 1, epoch: 1 },
    checkpointId: second,
    task: FIRST,
    failure: { code: 'CHECKPOINT_FAILED', message: 'CHECKPOINT_FAILED: disk full; free some' },
  });
  t.is(job.state.execution.status, 'RESTARTING');
  t.is(job.state.checkpoints.history.failed, 2);
  job.matches(t, 'checkpoint-timeout');
});

test('a lost notification is repeated until every task has committed', (t) => {
  const job = new JobTrace();
  job.tell({ kind: 'submitted' });
  job.start('w1', 'w2');
  job.wake();
  const first = job.checkpoint();
  job.commit(first, OTHERS);
  job.say('one task has not answered: only it is told again');
  job.wake();
  job.commit(first, [FIRST]);
  job.say('two more: the oldest of three is subsumed, after the pointer no longer names it');
  job.checkpoint();
  job.wake();
  job.wake();
  job.checkpoint();
  t.deepEqual(
    job.state.checkpoints.completed.map(({ checkpointId }) => checkpointId),
    [2, 3],
  );
  job.matches(t, 'notification-lost');
});

test('stop with savepoint', (t) => {
  const job = new JobTrace();
  job.tell({ kind: 'submitted' });
  job.start('w1', 'w2');
  job.say('two callers; the second one stops the job');
  job.tell({ kind: 'savepointRequested', request: { savepointId: 'sp1', stopAfter: false } });
  job.tell({ kind: 'savepointRequested', request: { savepointId: 'sp2', stopAfter: true } });
  job.commit(job.checkpoint());
  job.commit(job.checkpoint());
  job.allTasks('FINISHED');
  t.is(job.state.execution.status, 'FINISHED');
  job.matches(t, 'stop-with-savepoint');
});

test('an attempt that ends during the compare-and-set waits for its outcome', (t) => {
  const job = new JobTrace();
  job.tell({ kind: 'submitted' });
  job.start('w1', 'w2');
  job.wake();
  const open = job.allocate();
  job.acknowledge(open);
  job.tell({ kind: 'manifestWritten', checkpointId: open });
  job.say('the compare-and-set is under way');
  job.taskFailed(FIRST, 'USER_CODE_FAILED', 'x is not a function; see the stack');
  job.releaseSlots();
  job.say('the delay is over, but what to restore from is not known yet');
  job.wake();
  job.say('now it is');
  job.tell({ kind: 'completed', checkpointId: open });
  t.is(job.state.restored?.checkpointId, open);
  job.matches(t, 'failed-while-completing');
});

test('cancel', (t) => {
  const job = new JobTrace();
  job.tell({ kind: 'submitted' });
  job.start('w1', 'w2');
  job.wake();
  const open = job.allocate();
  job.acknowledge(open);
  job.say('canceled while the manifest is being written: its files go when that has ended');
  job.tell({ kind: 'cancelRequested' });
  job.tell({ kind: 'manifestWritten', checkpointId: open });
  for (const task of TASKS) job.task(task, 'CANCELED');
  job.releaseSlots();
  t.is(job.state.execution.status, 'CANCELED');
  job.say('too late');
  job.tell({ kind: 'savepointRequested', request: { savepointId: 'sp1', stopAfter: false } });
  job.matches(t, 'cancel');
});

test('a new coordinator takes the job over', (t) => {
  const completed = [
    { checkpointId: 7, prefix: 'jobs/j1/chk-7/', bytes: 300, completedAtMs: 1_700_000_000_000 },
  ];
  const references = new Map([[7, new Set(['jobs/j1/chk-7/a', 'jobs/j1/chk-5/b'])]]);
  const job = new JobTrace({ epoch: 2, known: { completed, references, allocatedId: 9 } });
  job.say(
    'attempt 4 of the old coordinator ends, attempt 5 restores from 7; once it runs, orphans go',
  );
  job.tell({ kind: 'recovered', attempt: 4, canceling: false });
  job.say('reports under the old epoch change nothing');
  job.tell({
    kind: 'taskState',
    attempt: { jobId: 'j1', attempt: 4, epoch: 1 },
    task: FIRST,
    state: 'DRAINED',
  });
  job.start('w1', 'w2');
  t.is(job.state.execution.attempt, 5);
  job.say('and is superseded in its turn');
  job.tell({ kind: 'superseded' });
  t.is(job.state.execution.status, 'SUSPENDED');
  job.matches(t, 'new-coordinator');
});

test('a failure that can not be cured fails the job at once', (t) => {
  const job = new JobTrace();
  job.tell({ kind: 'submitted' });
  job.start('w1', 'w2');
  job.taskFailed(FIRST, 'STATE_NOT_RESTORABLE', 'state "seen" is missing; declare it');
  t.is(job.state.execution.status, 'FAILING');
  job.releaseSlots();
  t.is(job.state.execution.status, 'FAILED');
  t.regex(job.state.execution.terminalFailure?.message ?? '', /not restarted because/);
});

test('a canceled job that its coordinator left behind ends without another attempt', (t) => {
  const job = new JobTrace({ epoch: 2 });
  const effects = job.tell({ kind: 'recovered', attempt: 1, canceling: true });
  t.is(job.state.execution.status, 'CANCELED');
  t.false(effects.some(({ kind }) => kind === 'prepareAttempt'));
});

test('slots that come too late are given back', (t) => {
  const job = new JobTrace();
  job.tell({ kind: 'submitted' });
  job.tell({ kind: 'attemptPrepared', attempt: 1 });
  job.tell({ kind: 'cancelRequested' });
  const slices = [
    { workerId: 'w1', dataAddress: 'w1:1' },
    { workerId: 'w2', dataAddress: 'w2:1' },
  ];
  const effects = job.tell({ kind: 'slotsGranted', attempt: 1, slices });
  t.deepEqual(
    effects.map(({ kind }) => kind),
    ['returnSlots'],
  );
});

test('a worker that is lost after the last commits does not bring a finished job back', (t) => {
  const job = new JobTrace();
  job.tell({ kind: 'submitted' });
  job.start('w1', 'w2');
  job.allTasks('DRAINED');
  job.commit(job.checkpoint());
  job.tell({ kind: 'workerLost', workerId: 'w1', reason: 'gone' });
  job.tell({ kind: 'workerLost', workerId: 'w2', reason: 'gone' });
  t.is(job.state.execution.status, 'FINISHED');
});
