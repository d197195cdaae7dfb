/** Changes that are written while records go on touching them. */
import test from 'ava';
import fc from 'fast-check';
import * as schema from '../../../api/schema-builder.js';
import { mapState, valueState, type MapState, type ValueState } from '../../../api/state.js';
import { HeapKeyedStateBackend } from '../../../worker/state/heap-keyed-state-backend.js';
import { copyRuns, restoreRuns } from './run-copies.js';
import { runScript, scriptArbitrary } from './state-script.js';
import { Operator, optionsOf } from './state-fixture.js';

/** Nothing is written but what is touched, until the background gets its turns. */
function slowOperator(): Operator {
  return new Operator(
    (options) =>
      new HeapKeyedStateBackend({
        ...options,
        sliceChangesMax: 1,
        runs: { ...options.runs, layersMax: 2 },
      }),
  );
}

test('a snapshot that is written a row at a time, merged at once, is of its moment', async (t) => {
  await fc.assert(
    fc.asyncProperty(scriptArbitrary, (script) => runScript(slowOperator(), script)),
    { numRuns: 60 },
  );
  t.pass();
});

const KEYS = ['a', 'b', 'c', 'd'];

test('windows that are dropped before they are written are in the snapshot', async (t) => {
  const operator = slowOperator();
  for (const key of KEYS) (await operator.at(key)).windows.put(10, 1);
  const snapshot = operator.snapshot();
  operator.subtasks[0]?.windows.drop(10);
  const restored = operator.restored(1, await snapshot);
  const after = await operator.snapshot();
  t.deepEqual((await restored.contents('d')).windows, new Map([[10, 1]]));
  t.deepEqual((await operator.restored(1, after).contents('d')).windows, new Map());
});

test('timers that fire or are deleted before they are written are in the snapshot', async (t) => {
  const operator = slowOperator();
  for (const key of KEYS) {
    const { timers } = (await operator.at(key)).backend;
    timers.register('eventTime', 5);
    timers.register('processingTime', 7);
  }
  const snapshot = operator.snapshot();
  operator.advance('eventTime', 5);
  (await operator.at('d')).backend.timers.delete('processingTime', 7);
  const restored = operator.restored(2, await snapshot);
  const after = await operator.snapshot();
  t.is(restored.advance('eventTime', 9).length, 4);
  t.is(restored.advance('processingTime', 9).length, 4);
  const later = operator.restored(2, after);
  t.is(later.advance('eventTime', 9).length, 0);
  t.is(later.advance('processingTime', 9).length, 3);
});

test('an element that expires before it is written is in the snapshot', async (t) => {
  let now = 0;
  const options = { ...optionsOf(0, 1, () => now), sliceChangesMax: 1 };
  const backend = new HeapKeyedStateBackend(options);
  const descriptor = valueState(schema.float64, { ttlMs: 10 });
  const value = backend.state('v', descriptor) as ValueState<number>;
  for (const key of KEYS) {
    backend.setCurrentKey(key);
    value.update(1);
  }
  const snapshot = backend.snapshot(1);
  now = 10;
  backend.cleanExpired(100);
  t.is(backend.entryCount(), 0);
  const runs = await copyRuns(snapshot);
  now = 9;
  const restoredOptions = optionsOf(0, 1, () => now);
  const restored = new HeapKeyedStateBackend(restoredOptions);
  restored.state('v', descriptor);
  restoreRuns(restored, restoredOptions.runs, [runs]);
  t.is(restored.entryCount(), 4);
});

test('a snapshot may begin before the one before it is written', async (t) => {
  const operator = slowOperator();
  for (const key of KEYS) (await operator.at(key)).value.update(1);
  const [{ backend } = t.fail()] = operator.subtasks;
  const overtaken = backend.snapshot(1);
  (await operator.at('b')).value.update(2);
  const runs = await copyRuns(backend.snapshot(2));
  await t.throwsAsync(copyRuns(overtaken), { code: 'CHECKPOINT_FAILED' });
  const restored = operator.restored(1, [runs]);
  const values = [];
  for (const key of KEYS) values.push((await restored.contents(key)).value);
  t.deepEqual(values, [1, 2, 1, 1]);
});

test('a change among many costs a row, in large maps and lists too', async (t) => {
  const operator = new Operator((options) => new HeapKeyedStateBackend(options));
  const { list, map, backend } = await operator.at('large');
  list.addAll(Array.from({ length: 5000 }, (_, i) => `element ${String(i)}`));
  for (let i = 0; i < 5000; i++) map.put(`element ${String(i)}`, { n: i });
  for (let i = 0; i < 500; i++) {
    const { value } = await operator.at(`user ${String(i)}`);
    value.update(i);
    backend.timers.register('eventTime', i);
  }
  const [all = t.fail()] = await operator.snapshot();
  const change = async (state: Operator): Promise<number> => {
    const large = await state.at('large');
    large.list.add('one more');
    large.map.put('element 7', { n: 0 });
    large.map.remove('element 8');
    (await state.at('user 3')).value.update(0);
    large.backend.timers.delete('eventTime', 3);
    const runs = (await state.snapshot())[0] ?? t.fail();
    return runs.at(-1)?.bytes.length ?? 0;
  };
  t.true((all[0]?.bytes.length ?? 0) > 100_000);
  t.true((await change(operator)) < 3000);
  const restored = operator.restored(1, [all]);
  t.true((await change(restored)) < 3000);
  t.is((await restored.contents('large')).list.length, 5001);
});

test('what comes and goes between two snapshots leaves nothing behind', async (t) => {
  const operator = new Operator((options) => new HeapKeyedStateBackend(options));
  for (let i = 0; i < 10_000; i++) {
    const { value, map, backend } = await operator.at(`visitor ${String(i)}`);
    value.update(i);
    map.put('x', { n: i });
    backend.timers.register('processingTime', i);
    backend.timers.delete('processingTime', i);
    value.clear();
    map.clear();
  }
  t.deepEqual(await operator.snapshot(), [[]]);
});

test('an operator may have more states than bits in a mask', async (t) => {
  const declare = (backend: HeapKeyedStateBackend): MapState<number>[] =>
    Array.from(
      { length: 40 },
      (_, i) => backend.state(`s${String(i)}`, mapState(schema.float64)) as MapState<number>,
    );
  const options = optionsOf();
  const backend = new HeapKeyedStateBackend(options);
  const states = declare(backend);
  backend.setCurrentKey('k');
  states.forEach((state, i) => state.put('n', i));
  await copyRuns(backend.snapshot(1));
  backend.setCurrentKey('k');
  states[31]?.clear();
  states[35]?.put('n', -35);
  await copyRuns(backend.snapshot(2));
  backend.setCurrentKey('k');
  states[30]?.clear();
  const runs = await copyRuns(backend.snapshot(3));
  const restoredOptions = optionsOf();
  const restored = new HeapKeyedStateBackend(restoredOptions);
  const restoredStates = declare(restored);
  restoreRuns(restored, restoredOptions.runs, [runs]);
  restored.setCurrentKey('k');
  const values = restoredStates.map((state) => state.get('n'));
  t.deepEqual(
    values,
    Array.from({ length: 40 }, (_, i) => (i === 30 || i === 31 ? undefined : i === 35 ? -35 : i)),
  );
});
