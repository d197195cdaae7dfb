/** The contract of keyed state where a few keys stay in memory. */
import test from 'ava';
import fc from 'fast-check';
import { HeapKeyedStateBackend } from '../../../worker/state/heap-keyed-state-backend.js';
import { coldBelow } from './cold-below.js';
import { DatabaseModel } from './cold/database-model.js';
import { keyedStateBackendContract } from './keyed-state-backend-contract.js';
import { copyRuns } from './run-copies.js';
import { Operator, type CreateBackend } from './state-fixture.js';
import { runScript, scriptArbitrary } from './state-script.js';

const LIVE_BYTES = 300_000;

keyedStateBackendContract(
  (options) =>
    new HeapKeyedStateBackend({ ...options, cold: coldBelow(new DatabaseModel(), LIVE_BYTES) }),
);

test('random operations while nothing but the current key stays in memory equal a model', async (t) => {
  const liveBytes = fc.constantFrom(0, 1000, 5000);
  const elementsMax = fc.constantFrom(2, 12, 1000);
  await fc.assert(
    fc.asyncProperty(liveBytes, elementsMax, scriptArbitrary, async (bytes, elements, script) => {
      const create: CreateBackend = (options) =>
        new HeapKeyedStateBackend({
          ...options,
          sliceChangesMax: 3,
          cold: coldBelow(new DatabaseModel(), bytes),
          collectionBound: { elementsMax: elements, bytesMax: Infinity },
        });
      await runScript(new Operator(create), script);
    }),
    { numRuns: 120 },
  );
  t.pass();
});

test('a restore reads no row, though not all keys fit', async (t) => {
  const writer = new Operator((options) => new HeapKeyedStateBackend(options));
  const keys = Array.from({ length: 2000 }, (_, index) => `key-${String(index)}`);
  for (const key of keys) (await writer.at(key)).value.update(1);
  await writer.snapshot();
  // Rows of a later run, for keys whose bucket began to leave.
  for (const key of keys.slice(0, 600)) (await writer.at(key)).value.update(2);
  const model = new DatabaseModel();
  const create: CreateBackend = (options) =>
    new HeapKeyedStateBackend({ ...options, cold: coldBelow(model, LIVE_BYTES) });
  const restored = new Operator(create, 1, await writer.snapshot());
  t.is(model.reads, 0);
  t.true(model.size > keys.length / 4 && model.size < keys.length);
  for (const [index, key] of keys.entries()) {
    t.is((await restored.at(key)).value.value(), index < 600 ? 2 : 1);
  }
});

test('what a batch found in memory does not make room for the rest of it', async (t) => {
  const keys = Array.from({ length: 400 }, (_, index) => `key-${String(index)}`);
  const model = new DatabaseModel();
  const create: CreateBackend = (options) =>
    new HeapKeyedStateBackend({ ...options, cold: coldBelow(model, 60_000) });
  const operator = new Operator(create);
  const { backend, value, windows } = operator.subtasks[0] ?? t.fail();
  for (const key of keys) {
    backend.setCurrentKey(key);
    value.update(1);
    windows.put(0, 1);
  }
  await operator.snapshot();
  for (let batch = 0; batch < 40; batch++) {
    const needed = Array.from({ length: 50 }, (_, index) => keys[(batch * 29 + index * 7) % 400]);
    const batchKeys = needed.filter((key) => key !== undefined);
    backend.prefetch(batchKeys);
    windows.prefetch(0, batchKeys);
    const { reads } = model;
    for (const key of batchKeys) {
      backend.setCurrentKey(key);
      t.is(value.value(), 1);
      t.is(windows.get(0), 1);
    }
    t.is(model.reads, reads);
  }
  t.true(model.size > 400);
});

test('a snapshot whose runs are asked for late has nothing of what came after it', async (t) => {
  const create: CreateBackend = (options) =>
    new HeapKeyedStateBackend({
      ...options,
      sliceChangesMax: 3,
      cold: coldBelow(new DatabaseModel(), 0),
    });
  const operator = new Operator(create);
  const [subtask = t.fail()] = operator.subtasks;
  const keys = Array.from({ length: 200 }, (_, index) => `key-${String(index)}`);
  for (const key of keys) (await operator.at(key)).value.update(1);
  const snapshot = subtask.backend.snapshot(1);
  // As when another operator of the task comes first: changes go on, and more than fit into memory.
  for (const value of [2, 3, 4]) {
    for (const key of keys) (await operator.at(key)).value.update(value);
  }
  const restored = operator.restored(1, [await copyRuns(snapshot)]);
  for (const key of keys) t.is((await restored.at(key)).value.value(), 1);
  subtask.backend.snapshot(2);
  for (const key of keys) (await operator.at(key)).value.update(5);
  for (const key of keys) (await operator.at(key)).value.update(4);
  const later = operator.restored(1, [await copyRuns(subtask.backend.snapshot(3))]);
  for (const key of keys) t.is((await later.at(key)).value.value(), 4);
});
