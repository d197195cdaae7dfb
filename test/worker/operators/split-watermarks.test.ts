/** Watermarks per split: who is idle. */
import test from 'ava';
import { SplitWatermarks } from '../../../worker/operators/split-watermarks.js';
import { ManualClock } from '../../manual-clock.js';

test('of several splits read in one poll each counts as active, and holds the watermark back', (t) => {
  const clock = new ManualClock();
  const watermarks = new SplitWatermarks({
    maxOutOfOrdernessMs: 0,
    idleTimeoutMs: 1000,
    monotonic: () => clock.monotonic(),
  });
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
  t.deepEqual(watermarks.advance(), { watermark: 109, idle: false });
  clock.advance(100);
  t.deepEqual(watermarks.advance(), { watermark: 109, idle: true });
});
