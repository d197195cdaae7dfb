import test from 'ava';
import type { CheckpointBarrier } from '../../../worker/network/buffer.js';
import { AlignmentTimer } from '../../../worker/task/alignment-timer.js';
import { ManualClock } from '../../manual-clock.js';

function timerAt(nowMs: number): {
  timer: AlignmentTimer;
  clock: ManualClock;
  announce: (checkpointId: number, triggeredAtMs: number, timeoutMs: number | null) => void;
} {
  const clock = new ManualClock(nowMs);
  const timer = new AlignmentTimer(clock, () => undefined);
  return {
    timer,
    clock,
    announce: (checkpointId, triggeredAtMs, alignmentTimeoutMs) => {
      const barrier: CheckpointBarrier = {
        kind: 'barrier',
        checkpointId,
        prefix: 'chk/',
        triggeredAtMs,
        stopAfter: false,
        alignmentTimeoutMs,
      };
      timer.announce(barrier);
    },
  };
}

test('the time counts from the trigger of the checkpoint', (t) => {
  const { timer, clock, announce } = timerAt(1_000);
  announce(1, 940, 100);
  clock.advance(39);
  t.is(timer.expired, undefined);
  clock.advance(1);
  t.is(timer.expired, 1);
});

test('a clock that is behind the trigger waits for no longer than the timeout', (t) => {
  const { timer, clock, announce } = timerAt(1_000);
  announce(1, 50_000, 100);
  clock.advance(100);
  t.is(timer.expired, 1);
});

test('a barrier that has overtaken before does not wait, whatever another one of its checkpoint may', (t) => {
  const { timer, clock, announce } = timerAt(1_000);
  announce(1, 1_000, 100);
  announce(1, 1_000, 0);
  t.is(timer.expired, 1);
  timer.settle(1);
  clock.advance(200);
  t.is(timer.expired, undefined);
});

test('a newer checkpoint takes the place of an older one, never the other way round', (t) => {
  const { timer, clock, announce } = timerAt(1_000);
  announce(1, 1_000, 10);
  announce(2, 1_000, 100);
  announce(1, 1_000, 0);
  clock.advance(99);
  t.is(timer.expired, undefined);
  timer.settle(1);
  clock.advance(1);
  t.is(timer.expired, 2);
});

test('a barrier that never overtakes starts nothing', (t) => {
  const { timer, clock, announce } = timerAt(1_000);
  announce(1, 0, null);
  clock.advance(1_000_000);
  t.is(timer.expired, undefined);
});

test('a barrier that has come through the inputs may wait once more, in the outputs', (t) => {
  const { timer, clock, announce } = timerAt(1_000);
  announce(1, 1_000, 100);
  timer.settle(1);
  clock.advance(40);
  announce(1, 1_000, 100);
  clock.advance(59);
  t.is(timer.expired, undefined);
  clock.advance(1);
  t.is(timer.expired, 1);
});
