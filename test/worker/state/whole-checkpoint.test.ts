/** The contract where each checkpoint that would write half of all keys writes all of them. */
import test from 'ava';
import { HeapKeyedStateBackend } from '../../../worker/state/heap-keyed-state-backend.js';
import { keyedStateBackendContract } from './keyed-state-backend-contract.js';
import { copyRuns } from './run-copies.js';
import { Operator, type CreateBackend } from './state-fixture.js';

const create: CreateBackend = (options) =>
  new HeapKeyedStateBackend({ ...options, wholeKeysMin: 0 });

keyedStateBackendContract(create);

test('a checkpoint of half the keys needs none before it, one of fewer adds to it', async (t) => {
  const operator = new Operator(create);
  const [subtask = t.fail()] = operator.subtasks;
  const keys = Array.from({ length: 100 }, (_, index) => `key-${String(index)}`);
  const counts: number[] = [];
  for (const [checkpoint, changed] of [100, 100, 49, 50, 1].entries()) {
    for (const key of keys.slice(0, changed)) {
      const { value, list, map, windows, backend } = await operator.at(key);
      value.update(checkpoint);
      list.add(String(checkpoint));
      map.put(`m${String(checkpoint)}`, { n: checkpoint });
      windows.put(0, checkpoint);
      backend.timers.register('eventTime', checkpoint);
    }
    const runs = await copyRuns(subtask.backend.snapshot(checkpoint + 1));
    counts.push(runs.length);
    const restored = operator.restored(1, [runs]);
    for (const key of keys) t.deepEqual(await restored.contents(key), await operator.contents(key));
  }
  t.deepEqual(counts, [1, 1, 2, 1, 2]);
});

test('a checkpoint of all keys that fails supersedes nothing', async (t) => {
  const operator = new Operator(create);
  const [subtask = t.fail()] = operator.subtasks;
  for (const key of ['a', 'b', 'c']) (await operator.at(key)).value.update(1);
  await copyRuns(subtask.backend.snapshot(1));
  for (const key of ['a', 'b']) (await operator.at(key)).value.update(2);
  (await operator.at('c')).value.update('no number' as unknown as number);
  await t.throwsAsync(subtask.backend.snapshot(2).runs(), { message: /SCHEMA_MISMATCH/ });
  (await operator.at('c')).value.clear();
  (await operator.at('a')).value.clear();
  const restored = operator.restored(1, [await copyRuns(subtask.backend.snapshot(3))]);
  t.is((await restored.at('a')).value.value(), undefined);
  t.is((await restored.at('b')).value.value(), 2);
  t.is((await restored.at('c')).value.value(), undefined);
});
