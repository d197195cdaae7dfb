/** Watermarks per split: who holds the source's watermark back, and who is idle. */
import test from 'ava';
import { SplitWatermarks } from '../../../worker/operators/split-watermarks.js';
import { ManualClock } from '../../manual-clock.js';

function watermarksAt(clock: ManualClock): SplitWatermarks {
  return new SplitWatermarks({
    maxOutOfOrdernessMs: 0,
    idleTimeoutMs: 1000,
    monotonic: () => clock.monotonic(),
  });
}

test('of several splits read in one poll each counts as active, and holds the watermark back', (t) => {
  const clock = new ManualClock();
  const watermarks = watermarksAt(clock);
  for (const maxTimestamp of [100, 110]) {
    for (const [id, ahead] of [
      ['a', 0],
      ['b', 800],
    ] as const) {
      watermarks.select(id);
      watermarks.observe(maxTimestamp + ahead);
    }
    watermarks.touch();
    clock.advance(900);
  }
  t.deepEqual(watermarks.advance(clock.monotonic()), { watermark: 109, idle: false });
  clock.advance(100);
  t.deepEqual(watermarks.advance(clock.monotonic()), { watermark: 109, idle: true });
});

test('a split holds the watermark from when it is assigned: without a record at no time at all', (t) => {
  const clock = new ManualClock();
  const watermarks = watermarksAt(clock);
  watermarks.add('a');
  watermarks.add('b');
  watermarks.add('restored', 300);
  watermarks.select('a');
  watermarks.observe(500);
  t.is(watermarks.advance(0).watermark, -Infinity);
  watermarks.select('b');
  watermarks.observe(200);
  t.is(watermarks.advance(0).watermark, 199);
  watermarks.finish();
  t.is(watermarks.advance(0).watermark, 299);
});

test('a split that waits for its turn holds the watermark and is not idle, however long', (t) => {
  const clock = new ManualClock();
  const watermarks = watermarksAt(clock);
  for (const [id, timestamp] of [
    ['a', 500],
    ['b', 100],
  ] as const) {
    watermarks.add(id);
    watermarks.select(id);
    watermarks.observe(timestamp);
    watermarks.pause();
  }
  watermarks.select('a');
  clock.advance(10_000);
  t.deepEqual(watermarks.advance(clock.monotonic()), { watermark: 99, idle: false });
  watermarks.select('b');
  clock.advance(1000);
  t.deepEqual(watermarks.advance(clock.monotonic()), { watermark: 99, idle: true });
});
