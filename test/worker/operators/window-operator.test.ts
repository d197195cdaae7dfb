/** Windows over a restore. */
import test from 'ava';
import { t as types } from '../../../api/index.js';
import type { WatermarkState } from '../../../worker/operators/operator-state.js';
import { WindowOperator } from '../../../worker/operators/window-operator.js';
import { MemoryStateBackend } from '../../../worker/state/memory-state-backend.js';
import { restoredTo } from './restored-to.js';
import { RecordedOutput } from './recorded-output.js';

function open(restoredWatermark = -Infinity) {
  const output = new RecordedOutput();
  const backend = new MemoryStateBackend({
    operator: 'sums',
    keyGroups: { start: 0, end: 128 },
    maxParallelism: 128,
    now: () => 0,
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
      add: (sum, value) => (sum as number) + (value as number),
      getResult: (sum, _key, { start }) => `${start}: ${String(sum)}`,
    },
    selectKey: () => 'k',
    backend,
    output,
    restored: restoredTo(restoredWatermark),
  });
  return { operator, output, backend };
}

test('a window that is kept for late records fires no second time after a restore', (t) => {
  const first = open();
  first.operator.processElement(1, 5);
  first.operator.processElement(2, 15);
  first.operator.processWatermark(12);
  t.deepEqual(first.output.takeValues(), ['0: 1']);
  const { keyed, operator } = first.operator.snapshot(1);
  const [state] = operator?.entries as readonly WatermarkState[];
  const second = open(state?.watermark);
  second.backend.restore(keyed === undefined ? [] : [keyed.bytes()]);
  second.operator.processWatermark(8);
  second.operator.processWatermark(12);
  t.deepEqual(second.output.takeValues(), []);
  second.operator.processElement(3, 6);
  t.deepEqual(second.output.takeValues(), ['0: 4']);
  second.operator.processWatermark(19);
  t.deepEqual(second.output.takeValues(), ['10: 2']);
});
