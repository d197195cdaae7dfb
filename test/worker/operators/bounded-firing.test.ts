import test from 'ava';
import {
  t as types,
  type ProcessFunction,
  type SideOutputs,
  type StateDescriptor,
} from '../../../api/index.js';
import type { Key } from '../../../core/key-codec.js';
import { ProcessOperator } from '../../../worker/operators/process-operator.js';
import { WindowOperator } from '../../../worker/operators/window-operator.js';
import { HeapKeyedStateBackend } from '../../../worker/state/heap-keyed-state-backend.js';
import { restoredTo } from './restored-to.js';
import { testRuns } from '../state/run-copies.js';
import { RecordedOutput } from './recorded-output.js';

const KEYS = 5000;

function backend(operator: string): HeapKeyedStateBackend {
  return new HeapKeyedStateBackend({
    operator,
    keyGroups: { start: 0, end: 128 },
    maxParallelism: 128,
    now: () => 0,
    runs: testRuns(),
  });
}

test('a watermark that sets off many timers fires them over several turns, and only then goes on', (t) => {
  const output = new RecordedOutput();
  const operator = new ProcessOperator({
    name: 'timers',
    process: {
      output: types.float64,
      onElement: (_record, ctx) => ctx.timers.registerEventTimeTimer(10),
      onTimer: (_timestamp, ctx) => ctx.collect(ctx.key),
    } satisfies ProcessFunction<
      Key,
      unknown,
      Record<string, StateDescriptor>,
      unknown,
      SideOutputs
    >,
    selectKey: (record) => record as number,
    backend: backend('timers'),
    output,
    now: () => 0,
  });
  for (let key = 0; key < KEYS; key++) operator.processElement(key, 0);
  operator.processWatermark(10);
  const first = output.take();
  t.true(first.length > 0 && first.length < KEYS / 2);
  t.true(first.every(({ kind }) => kind === 'record'));
  let turns = 1;
  while (operator.proceed()) turns++;
  t.true(turns > 2);
  const rest = output.take();
  t.is(first.length + rest.length, KEYS + 1);
  t.deepEqual(rest.at(-1), { kind: 'watermark', timestamp: 10 });
});

test('a window of many keys fires over several turns, each key once, and only then time goes on', (t) => {
  const output = new RecordedOutput();
  const operator = new WindowOperator({
    name: 'windows',
    sizeMs: 10,
    offsetMs: 0,
    allowedLatenessMs: 0,
    aggregate: {
      accumulator: types.int32,
      output: types.string,
      createAccumulator: () => 0,
      add: (count) => Number(count) + 1,
      getResult: (count, key, window) => `${Number(key)}:${String(count)}@${window.start}`,
    },
    selectKey: (record) => record as number,
    backend: backend('windows'),
    output,
    restored: restoredTo(),
  });
  for (let key = 0; key < KEYS; key++) {
    operator.processElement(key, 5);
    operator.processElement(key, 15);
  }
  operator.processWatermark(19);
  const seen = output.take();
  t.true(seen.length < KEYS / 2);
  while (operator.proceed()) seen.push(...output.take());
  seen.push(...output.take());
  const results = seen.flatMap((one) => (one.kind === 'record' ? [String(one.value)] : []));
  t.is(new Set(results).size, 2 * KEYS);
  t.is(results.length, 2 * KEYS);
  t.true(results.slice(0, KEYS).every((result) => result.endsWith('@0')));
  t.deepEqual(seen.at(-1), { kind: 'watermark', timestamp: 19 });
});
