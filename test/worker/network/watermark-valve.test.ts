import test from 'ava';
import fc from 'fast-check';
import { WatermarkValve } from '../../../worker/network/watermark-valve.js';

test('the combined watermark is the minimum and never goes back', (t) => {
  const valve = new WatermarkValve(2);
  t.is(valve.onWatermark(0, 10), undefined);
  t.is(valve.onWatermark(1, 4), 4);
  t.is(valve.onWatermark(1, 3), undefined);
  t.is(valve.onWatermark(1, 20), 10);
  t.is(valve.current, 10);
});

test('an idle input does not hold the others back, and an active one does again', (t) => {
  const valve = new WatermarkValve(2);
  t.is(valve.onWatermark(0, 10), undefined);
  t.is(valve.onStatus(1, true), 10);
  t.is(valve.onWatermark(1, 5), undefined);
  t.is(valve.onWatermark(0, 30), undefined);
  t.is(valve.onWatermark(1, 12), 12);
});

test('when every input is idle the valve is idle and keeps its watermark', (t) => {
  const valve = new WatermarkValve(2);
  valve.onWatermark(0, 10);
  valve.onWatermark(1, 8);
  valve.onStatus(0, true);
  t.false(valve.isIdle);
  valve.onStatus(1, true);
  t.true(valve.isIdle);
  t.is(valve.current, 8);
});

const event = fc.record({
  input: fc.nat(8),
  timestamp: fc.integer({ min: -3, max: 20 }),
  status: fc.constantFrom('watermark', 'idle', 'active'),
});

test('property: with any number of inputs it says what a comparison of all of them says', (t) => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 9 }), fc.array(event), (inputs, events) => {
      const valve = new WatermarkValve(inputs);
      const watermarks = new Array<number>(inputs).fill(-Infinity);
      const idle = new Array<boolean>(inputs).fill(false);
      let current = -Infinity;
      for (const { input: any, timestamp, status } of events) {
        const input = any % inputs;
        idle[input] = status === 'idle';
        if (status === 'watermark') {
          watermarks[input] = Math.max(watermarks[input] ?? -Infinity, timestamp);
        }
        const active = watermarks.filter((_, other) => idle[other] === false);
        const least = Math.min(...active);
        const advances = active.length > 0 && least > current;
        if (advances) current = least;
        t.is(
          status === 'watermark'
            ? valve.onWatermark(input, timestamp)
            : valve.onStatus(input, status === 'idle'),
          advances ? least : undefined,
        );
        t.is(valve.current, current);
        t.is(valve.isIdle, active.length === 0);
        t.is(valve.watermarkOf(input), watermarks[input] ?? NaN);
      }
    }),
  );
});
