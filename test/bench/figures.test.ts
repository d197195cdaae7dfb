import test from 'ava';
import { atMost, withFigureRatios } from '../../bench/figures.js';
import type { Measurement } from '../../bench/measurement.js';

const ours: Measurement = {
  benchmark: 'latency',
  topology: '2x1',
  engine: 'millrace',
  foreignCores: 0,
  noisy: false,
  figures: { ratePerSecond: 10_000, p50Ms: 1, p99Ms: 6, stateBytes: 5, msShare: 0.1, syncMs: 3 },
};

test('times and sizes that both have get a ratio, rates and shares none', (t) => {
  const flink: Measurement = {
    ...ours,
    engine: 'flink',
    figures: {
      ratePerSecond: 10_000,
      p50Ms: 4,
      p99Ms: 3,
      stateBytes: 10,
      msShare: 0.5,
      otherMs: 0,
    },
  };
  t.deepEqual(withFigureRatios(ours, flink).figureRatiosToFlink, {
    p50Ms: 0.25,
    p99Ms: 2,
    stateBytes: 0.5,
  });
  t.is(withFigureRatios(ours, undefined), ours);
});

test('bounds are met when every figure stays within its own', (t) => {
  const figures = { p50Ms: 2, p99Ms: 10 };
  t.true(atMost('', figures, { p50Ms: 2, p99Ms: 10 }).met);
  t.false(atMost('', figures, { p50Ms: 2, p99Ms: 9 }).met);
  t.false(atMost('', figures, { maxMs: 100 }).met);
});
