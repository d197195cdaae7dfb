import test from 'ava';
import { withRatios, withTarget } from '../../bench/benchmarks/throughput.js';
import { otherLoad, type LoadReading } from '../../bench/machine-load.js';
import type { Measurement } from '../../bench/measurement.js';

const ours: Measurement = {
  benchmark: 'window',
  topology: '2x1',
  engine: 'millrace',
  recordsPerSecond: 2_400_000,
  recordsPerCpuSecond: 1_200_000,
  foreignCores: 0,
  noisy: false,
};
const flink: Measurement = {
  ...ours,
  engine: 'flink',
  recordsPerSecond: 1_600_000,
  recordsPerCpuSecond: 1_000_000,
};

test('ratios are ours in relation to the peer’s, and absent without one', (t) => {
  const beside = withRatios(ours, flink);
  t.is(beside.ratioToFlink, 1.5);
  t.is(beside.ratioToFlinkPerCpu, 1.2);
  t.is(withRatios(ours, undefined), ours);
});

test('beside a peer its rate is the target, alone the benchmark’s own', (t) => {
  t.deepEqual(withTarget(withRatios(ours, flink), 5_000_000).target, {
    text: "at least 1.2 of Flink's rate",
    met: true,
    ratioToFlinkMin: 1.2,
  });
  t.false(withTarget(withRatios({ ...ours, recordsPerSecond: 1 }, flink), undefined).target?.met);
  t.deepEqual(withTarget(ours, 5_000_000).target, {
    text: 'at least 5,000,000 records/s',
    met: false,
  });
  t.is(withTarget(ours, undefined).target, undefined);
});

test('what others took is all that was busy but ours, and the host’s part is told apart', (t) => {
  const from: LoadReading = {
    monotonicMs: 1000,
    cpuSeconds: 10,
    machineCpuSeconds: 100,
    stealSeconds: 3,
    ownCpuSeconds: 1,
  };
  const to: LoadReading = {
    monotonicMs: 11_000,
    cpuSeconds: 25,
    machineCpuSeconds: 119,
    stealSeconds: 4,
    ownCpuSeconds: 2,
  };
  const { foreignCores, stealCores } = otherLoad(from, to);
  t.true(Math.abs(foreignCores - 0.3) < 1e-9);
  t.true(Math.abs(stealCores - 0.1) < 1e-9);
});
