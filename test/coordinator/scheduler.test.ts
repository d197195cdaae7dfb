import test from 'ava';
import { Scheduler, type SlotRequest } from '../../coordinator/scheduler.js';
import type { Placement } from '../../coordinator/slot-placement.js';
import type { WorkerDescription } from '../../coordinator/worker-registry.js';
import { ManualClock } from '../manual-clock.js';

function worker(workerId: string, slots: number): WorkerDescription {
  return { workerId, slots, dataAddress: `${workerId}:1`, httpAddress: 'h:1', pid: 1, host: 'h' };
}

interface Fixture {
  readonly clock: ManualClock;
  readonly scheduler: Scheduler;
  readonly log: string[];
  readonly ask: (jobId: string, count: number, timeoutMs?: number, preferred?: string[]) => void;
}

function start(placement: Placement = 'spread'): Fixture {
  const clock = new ManualClock();
  const scheduler = new Scheduler(clock, placement);
  const log: string[] = [];
  const ask: Fixture['ask'] = (jobId, count, timeoutMs = 1_000, preferred = []) => {
    const request: SlotRequest = {
      jobId,
      jobName: jobId,
      attempt: 1,
      count,
      timeoutMs,
      preferred,
      granted: (slots) => log.push(`${jobId}: ${slots.map((slot) => slot.workerId).join(' ')}`),
      failed: (error) => log.push(`${jobId}: ${error.message}`),
    };
    scheduler.request(request);
  };
  return { clock, scheduler, log, ask };
}

test('spread takes from the emptiest worker, fill from the fullest', (t) => {
  for (const [placement, expected] of [
    ['spread', 'a: w2 w1 w2'],
    ['fill', 'a: w1 w1 w2'],
  ] as const) {
    const { scheduler, log, ask } = start(placement);
    scheduler.addWorker(worker('w1', 2), 2);
    scheduler.addWorker(worker('w2', 3), 3);
    ask('a', 3);
    t.deepEqual(log, [expected]);
    t.is(scheduler.slotsFree, 2);
    t.is(scheduler.slotsTotal, 5);
  }
});

test('a request waits for workers, and requests are met in order', (t) => {
  const { scheduler, log, ask } = start();
  ask('large', 2);
  ask('small', 1);
  scheduler.addWorker(worker('w1', 1), 1);
  t.deepEqual(log, []);
  scheduler.addWorker(worker('w2', 1), 1);
  t.deepEqual(log, ['large: w1 w2']);
  scheduler.release('w1', 'large', 1, 0);
  t.deepEqual(log, ['large: w1 w2', 'small: w1']);
});

test('a request that waits too long fails, saying how many there are and how to get more', (t) => {
  const { clock, scheduler, log, ask } = start();
  scheduler.addWorker(worker('w1', 2), 1);
  ask('a', 2);
  clock.advance(999);
  t.deepEqual(log, []);
  clock.advance(1);
  t.regex(
    log[0] ?? '',
    /NOT_ENOUGH_SLOTS: job "a" needs 2 slots, but 1 of the cluster's 2 are free/,
  );
  t.regex(log[0] ?? '', /start more workers \('millrace worker --slots N'\)/);
  scheduler.addWorker(worker('w2', 5), 5);
  t.is(log.length, 1);
});

test('a withdrawn request is not answered, and lets the next one pass', (t) => {
  const { clock, scheduler, log, ask } = start();
  scheduler.addWorker(worker('w1', 1), 1);
  ask('large', 2);
  ask('small', 1);
  scheduler.withdraw('large', 1);
  clock.advance(5_000);
  t.deepEqual(log, ['small: w1']);
});

test('slots that an earlier time holds are free once they are released', (t) => {
  const { scheduler, log, ask } = start();
  scheduler.addWorker(worker('w1', 2), 0);
  ask('a', 2);
  scheduler.release('w1', 'old', 3, 0);
  scheduler.release('w1', 'old', 3, 1);
  t.deepEqual(log, ['a: w1 w1']);
  scheduler.release('w1', 'a', 1, 0);
  scheduler.release('w1', 'a', 1, 0);
  t.is(scheduler.slotsFree, 1);
});

test('the slots of a lost worker are gone', (t) => {
  const { scheduler, log, ask } = start();
  scheduler.addWorker(worker('w1', 2), 2);
  ask('a', 1);
  scheduler.removeWorker('w1');
  t.is(scheduler.slotsTotal, 0);
  scheduler.release('w1', 'a', 1, 0);
  ask('b', 1);
  t.deepEqual(log, ['a: w1']);
});

test('a slice stays on the worker that it ran on, if that has a slot for it', (t) => {
  const { scheduler, log, ask } = start();
  scheduler.addWorker(worker('w1', 2), 2);
  scheduler.addWorker(worker('w2', 2), 2);
  scheduler.addWorker(worker('w3', 4), 4);
  ask('a', 4, 1_000, ['w2', 'w2', 'w2', 'gone']);
  t.deepEqual(log, ['a: w2 w2 w3 w3']);
});

test('a worker that leaves keeps what it has and gets nothing more', (t) => {
  const { scheduler, log, ask } = start();
  scheduler.addWorker(worker('w1', 2), 2);
  scheduler.addWorker(worker('w2', 2), 2);
  ask('a', 2, 1_000, ['w1']);
  t.deepEqual(log, ['a: w1 w2']);
  scheduler.leave('w1');
  t.is(scheduler.freeSlotsOf('w1'), 0);
  t.is(scheduler.slotsFree, 1);
  t.like(scheduler.resourcesOf('a'), { slots: 2, slotsTotal: 4, leaving: ['w1'] });
  scheduler.release('w1', 'a', 1, 0);
  t.is(scheduler.slotsFree, 1);
  ask('b', 2);
  t.is(log.length, 1);
});

test('a job could have what it holds, what is free and not waited for; changes are told', (t) => {
  const { clock, scheduler, ask } = start();
  const told: number[] = [];
  scheduler.onChange(() => told.push(scheduler.resourcesOf('a').slots));
  scheduler.addWorker(worker('w1', 4), 3);
  clock.advance(500);
  ask('a', 2);
  t.deepEqual(told, [3, 3]);
  t.is(scheduler.resourcesOf('b').slots, 1);
  ask('b', 2);
  t.is(scheduler.resourcesOf('a').slots, 2, 'b is before it in the queue');
  t.is(scheduler.resourcesOf('a').changedAtMs, clock.monotonic() - 500);
  scheduler.release('w1', 'old', 1, 0);
  t.is(scheduler.resourcesOf('a').slots, 2, 'b has what was released');
  t.is(scheduler.resourcesOf('a').changedAtMs, clock.monotonic());
  scheduler.removeWorker('w1');
  t.is(told.at(-1), 0);
});

test('where the next attempt would go is told without taking anything', (t) => {
  const { scheduler, ask } = start();
  scheduler.addWorker(worker('w1', 2), 2);
  scheduler.addWorker(worker('w2', 1), 1);
  ask('a', 2, 1_000, ['w1', 'w1']);
  t.deepEqual(scheduler.plan('a', 3, ['w1', 'w1']), ['w1', 'w1', 'w2']);
  t.deepEqual(scheduler.plan('a', 4, []), []);
  t.is(scheduler.slotsFree, 1);
});

test('a listener that changes things is called again until nothing changes', (t) => {
  const { scheduler, log, ask } = start();
  let asked = false;
  let calls = 0;
  scheduler.onChange(() => {
    calls++;
    if (asked) return;
    asked = true;
    ask('a', 1);
  });
  scheduler.addWorker(worker('w1', 1), 1);
  t.deepEqual(log, ['a: w1']);
  t.is(calls, 2);
});
