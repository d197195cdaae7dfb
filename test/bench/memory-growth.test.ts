import test from 'ava';
import { floorsOf, growthInTenMinutes, theilSenSlope } from '../../bench/memory-growth.js';
import type { MemoryReading } from '../../bench/memory-growth.js';

const MB = 1e6;
const OPTIONS = { fromSeconds: 120, stretchSeconds: 10 };

/** Ten minutes of readings, four a second. */
function readings(bytesAt: (seconds: number) => number): readonly MemoryReading[] {
  return Array.from({ length: 2400 }, (_, index) => [index / 4, bytesAt(index / 4)] as const);
}

/** A young generation that fills and is emptied, with a period that is no divisor of a stretch. */
function sawtooth(seconds: number): number {
  return 150 * MB + ((seconds * 7) % 40) * MB;
}

test('a collector’s sawtooth is no growth, nor is what happens in the warm-up', (t) => {
  const growth = growthInTenMinutes(
    readings((seconds) => sawtooth(seconds) + Math.min(seconds, 100) * MB),
    OPTIONS,
  );
  t.true(Math.abs(growth) < 1 * MB, String(growth));
});

test('a heap that takes one step up, or one down, is no growth', (t) => {
  for (const step of [30, -30]) {
    const stepped = readings((seconds) => 150 * MB + (seconds > 450 ? step * MB : 0));
    t.true(Math.abs(growthInTenMinutes(stepped, OPTIONS)) < 1 * MB);
  }
});

test('a slow leak below a sawtooth is growth, and told in bytes', (t) => {
  const leakBytesPerSecond = 25_000;
  const growth = growthInTenMinutes(
    readings((seconds) => sawtooth(seconds) + seconds * leakBytesPerSecond),
    OPTIONS,
  );
  t.true(Math.abs(growth - 15 * MB) < 2 * MB, String(growth));
});

test('floors are the lowest readings of their stretches', (t) => {
  const floors = floorsOf(
    [
      [0, 5],
      [4, 3],
      [9, 4],
      [10, 7],
      [31, 2],
    ],
    10,
  );
  t.deepEqual(floors, [
    [4, 3],
    [10, 7],
    [31, 2],
  ]);
});

test('the slope is the median of all pairs', (t) => {
  t.is(theilSenSlope([]), 0);
  t.is(theilSenSlope([[1, 5]]), 0);
  const line: readonly MemoryReading[] = [
    [0, 0],
    [1, 2],
    [2, 4],
    [3, 1000],
    [4, 8],
  ];
  t.is(theilSenSlope(line), 2);
});
