import test from 'ava';
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
