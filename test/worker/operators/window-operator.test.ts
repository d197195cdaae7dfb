/** Windows over a restore. */
import test from 'ava';
import { t as types } from '../../../api/index.js';
import type { WatermarkState } from '../../../worker/operators/operator-state.js';
import { WindowOperator } from '../../../worker/operators/window-operator.js';
import { HeapKeyedStateBackend } from '../../../worker/state/heap-keyed-state-backend.js';
import { keyHash } from '../../../core/key-codec.js';
import { keyGroupOf } from '../../../core/key-group.js';
import { RestoredWatermarks } from '../../../worker/operators/restored-watermarks.js';
import { restoredTo } from './restored-to.js';
import { copyRuns, restoreRuns, testRuns } from '../state/run-copies.js';
import { RecordedOutput } from './recorded-output.js';

const keyOf = (value: unknown): string => (Array.isArray(value) ? String(value[0]) : 'k');
const numberOf = (value: unknown): number => Number(Array.isArray(value) ? value[1] : value);

function open(restored: RestoredWatermarks | number = -Infinity) {
  const output = new RecordedOutput();
  const runs = testRuns();
  const backend = new HeapKeyedStateBackend({
    operator: 'sums',
    keyGroups: { start: 0, end: 128 },
    maxParallelism: 128,
    now: () => 0,
    runs,
  });
  const operator = new WindowOperator({
    name: 'sums',
    sizeMs: 10,
    offsetMs: 0,
    allowedLatenessMs: 100,
    aggregate: {
      accumulator: types.float64,
      output: types.string,
      createAccumulator: () => 0,
      add: (sum, value) => (sum as number) + numberOf(value),
      getResult: (sum, _key, { start }) => `${start}: ${String(sum)}`,
    },
    selectKey: keyOf,
    backend,
    output,
    restored: typeof restored === 'number' ? restoredTo(restored) : restored,
  });
  return { operator, output, backend, runs };
}

test('a window that is kept for late records fires no second time after a restore', async (t) => {
  const first = open();
  first.operator.processElement(1, 5);
  first.operator.processElement(2, 15);
  first.operator.processWatermark(12);
  t.deepEqual(first.output.takeValues(), ['0: 1']);
  const { keyed, operator } = first.operator.snapshot(1);
  const [state] = operator?.entries as readonly WatermarkState[];
  const second = open(state?.watermark);
  if (keyed !== undefined) {
    restoreRuns(second.backend, second.runs, [await copyRuns(keyed)]);
  }
  second.operator.processWatermark(8);
  second.operator.processWatermark(12);
  t.deepEqual(second.output.takeValues(), []);
  second.operator.processElement(3, 6);
  t.deepEqual(second.output.takeValues(), ['0: 4']);
  second.operator.processWatermark(19);
  t.deepEqual(second.output.takeValues(), ['10: 2']);
});

test('keys that come from subtasks of different times each go on with their own', async (t) => {
  // Windows of 'ahead' had fired up to 12, those of 'behind' up to nothing.
  const [ahead, behind] = ['ahead', 'behind'];
  const first = open();
  for (const key of [ahead, behind]) first.operator.processElement([key, 1], 5);
  const { keyed } = first.operator.snapshot(1);
  const keyGroup = keyGroupOf(keyHash(ahead), 128);
  t.not(keyGroupOf(keyHash(behind), 128), keyGroup);
  const range = { start: keyGroup, end: keyGroup + 1 };
  const second = open(
    new RestoredWatermarks(
      [
        { keyGroups: range, watermark: 12 },
        { keyGroups: { start: 0, end: 128 }, watermark: 2 },
      ],
      128,
    ),
  );
  if (keyed !== undefined) {
    restoreRuns(second.backend, second.runs, [await copyRuns(keyed)]);
  }
  second.operator.processElement([ahead, 10], 6);
  t.deepEqual(second.output.takeValues(), ['0: 11'], 'late for its key: fires again at once');
  second.operator.processElement([behind, 20], 6);
  t.deepEqual(second.output.takeValues(), []);
  second.operator.processWatermark(9);
  t.deepEqual(second.output.takeValues(), ['0: 21']);
  second.operator.processElement([ahead, 100], 15);
  second.operator.processElement([behind, 200], 15);
  second.operator.processWatermark(19);
  t.deepEqual(second.output.takeValues().sort(), ['10: 100', '10: 200']);
});
