import test from 'ava';
import fc from 'fast-check';
import { RecordRate } from '../../cli/record-rate.js';

test('a rate is taken over a whole interval', (t) => {
  const rate = new RecordRate(1_000, 0);
  t.is(rate.measure(400, 500), 0);
  t.is(rate.measure(2_000, 2_000), 1_000);
  t.is(rate.measure(2_500, 2_500), 1_000);
});

test('a restart, which counts from the beginning, is measured from there', (t) => {
  const rate = new RecordRate(1_000, 0);
  rate.measure(5_000, 1_000);
  t.is(rate.measure(900, 1_250), 0);
  t.is(rate.measure(1_900, 2_250), 1_000);
});

test('no rate is ever negative', (t) => {
  const steps = fc.array(fc.tuple(fc.nat(10_000), fc.nat(3_000)));
  fc.assert(
    fc.property(steps, (taken) => {
      const rate = new RecordRate(1_000, 0);
      let nowMs = 0;
      return taken.every(([records, ms]) => rate.measure(records, (nowMs += ms)) >= 0);
    }),
  );
  t.pass();
});
