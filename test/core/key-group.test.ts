import test from 'ava';
import fc from 'fast-check';
import {
  keyGroupOf,
  keyGroupRange,
  MAX_PARALLELISM_LIMIT,
  subtaskOf,
} from '../../core/key-group.js';

const parallelisms = fc
  .integer({ min: 1, max: MAX_PARALLELISM_LIMIT })
  .chain((max) => fc.tuple(fc.integer({ min: 1, max: Math.min(max, 200) }), fc.constant(max)));

test('the ranges of all subtasks partition the key groups', (check) => {
  fc.assert(
    fc.property(parallelisms, ([parallelism, max]) => {
      let next = 0;
      for (let subtask = 0; subtask < parallelism; subtask++) {
        const { start, end } = keyGroupRange(subtask, parallelism, max);
        if (start !== next || end <= start) return false;
        next = end;
      }
      return next === max;
    }),
  );
  check.pass();
});

test('a key group belongs to the subtask whose range holds it', (check) => {
  fc.assert(
    fc.property(parallelisms, fc.nat(), ([parallelism, max], any) => {
      const keyGroup = any % max;
      const { start, end } = keyGroupRange(subtaskOf(keyGroup, parallelism, max), parallelism, max);
      return start <= keyGroup && keyGroup < end;
    }),
  );
  check.pass();
});

test('ranges are those of Flink', (check) => {
  const ranges = [0, 1, 2].map((subtask) => keyGroupRange(subtask, 3, 128));
  check.deepEqual(ranges, [
    { start: 0, end: 43 },
    { start: 43, end: 86 },
    { start: 86, end: 128 },
  ]);
});

test('a hash of the upper half has a key group too', (check) => {
  check.is(keyGroupOf(0xffffffff, 128), 127);
  check.is(keyGroupOf(-1, 128), 127);
});

for (const [what, call] of [
  ['parallelism 0', () => keyGroupRange(0, 0, 128)],
  ['more subtasks than key groups', () => keyGroupRange(0, 129, 128)],
  ['max parallelism above the limit', () => keyGroupRange(0, 1, MAX_PARALLELISM_LIMIT + 1)],
  ['a fractional max parallelism', () => subtaskOf(0, 1, 1.5)],
  ['a subtask out of range', () => keyGroupRange(2, 2, 128)],
  ['a key group out of range', () => subtaskOf(128, 2, 128)],
  ['a negative key group', () => subtaskOf(-1, 2, 128)],
] as const) {
  test(`${what} is refused`, (check) => {
    check.throws(call, { message: /^KEY_GROUP_RANGE: / });
  });
}
