import test from 'ava';
import { WorkerKill, type KillableWorker } from '../../../cli/demo/worker-kill.js';
import { progressOf } from './demo-progress-fixture.js';

function scene(transactions = 1_000_000): {
  kill: WorkerKill;
  signals: string[];
  advance: (ms: number) => void;
} {
  let nowMs = 0;
  const signals: string[] = [];
  const worker = (id: string): KillableWorker => ({
    id,
    name: id,
    pid: 1,
    kill: (signal) => signals.push(`${id} ${signal}`),
  });
  const clock = { now: () => 0, monotonic: () => nowMs, setTimer: () => () => undefined };
  const cluster = { workers: [worker('w-1'), worker('w-2')] };
  return {
    kill: new WorkerKill(cluster, clock, transactions),
    signals,
    advance: (ms) => (nowMs += ms),
  };
}

const DUE = { recordsRead: 400_000, checkpointsCompleted: 1 };

test('a worker that runs the job is killed once there is something to lose', (t) => {
  const { kill, signals } = scene();
  kill.observe(progressOf({ ...DUE, recordsRead: 399_999 }));
  kill.observe(progressOf({ ...DUE, checkpointsCompleted: 0 }));
  t.deepEqual(signals, []);
  t.regex(kill.observe(progressOf(DUE)) ?? '', /killed w-2/);
  kill.observe(progressOf(DUE));
  t.deepEqual(signals, ['w-2 SIGKILL']);
  t.true(kill.urgent);
});

test('a small input, which may be read before any checkpoint, is not waited for', (t) => {
  const { kill, signals } = scene(50_000);
  t.true(kill.urgent);
  kill.observe(progressOf({ recordsRead: 0, checkpointsCompleted: 0 }));
  t.deepEqual(signals, ['w-2 SIGKILL']);
});

test('a new attempt that has read more than the old one has recovered, too', (t) => {
  const { kill } = scene(50_000);
  kill.observe(progressOf({ recordsRead: 0 }));
  kill.observe(progressOf({ recordsRead: 900 }));
  kill.observe(progressOf({ attempt: 2, recordsRead: 900 }));
  t.is(kill.recoveryMs, undefined);
  kill.observe(progressOf({ attempt: 2, recordsRead: 20_000 }));
  t.is(kill.recoveryMs, 0);
});

test('recovery is from the kill to the first record of a later attempt', (t) => {
  const { kill, advance } = scene();
  kill.observe(progressOf(DUE));
  advance(500);
  kill.observe(progressOf({ ...DUE, attempt: 1, recordsRead: 450_000 }));
  kill.observe(progressOf({ ...DUE, attempt: 2, recordsRead: 450_000 }));
  kill.observe(progressOf({ ...DUE, attempt: 2, recordsRead: 0 }));
  t.is(kill.recoveryMs, undefined);
  advance(250);
  t.regex(kill.observe(progressOf({ attempt: 2, recordsRead: 1 })) ?? '', /750 ms after the kill/);
  advance(1000);
  kill.observe(progressOf({ attempt: 2, recordsRead: 500_000 }));
  t.is(kill.recoveryMs, 750);
  t.false(kill.urgent);
});
