/** The contract of keyed state where a few keys stay in memory. */
import test from 'ava';
import fc from 'fast-check';
import { MemoryStateBackend } from '../../../worker/state/memory-state-backend.js';
import { coldBelow } from './cold-below.js';
import { DatabaseModel } from './cold/database-model.js';
import { keyedStateBackendContract } from './keyed-state-backend-contract.js';
import { Operator, type CreateBackend } from './state-fixture.js';
import { runScript, scriptArbitrary } from './state-script.js';

const LIVE_BYTES = 300_000;

keyedStateBackendContract(
  (options) =>
    new MemoryStateBackend({ ...options, cold: coldBelow(new DatabaseModel(), LIVE_BYTES) }),
);

test('random operations while nothing but the current key stays in memory equal a model', async (t) => {
  const liveBytes = fc.constantFrom(0, 1000, 5000);
  const elementsMax = fc.constantFrom(2, 12, 1000);
  await fc.assert(
    fc.asyncProperty(liveBytes, elementsMax, scriptArbitrary, async (bytes, elements, script) => {
      const create: CreateBackend = (options) =>
        new MemoryStateBackend({
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
  const writer = new Operator((options) => new MemoryStateBackend(options));
  const keys = Array.from({ length: 2000 }, (_, index) => `key-${String(index)}`);
  for (const key of keys) (await writer.at(key)).value.update(1);
  await writer.snapshot();
  // Rows of a later run, for keys whose bucket began to leave.
  for (const key of keys.slice(0, 600)) (await writer.at(key)).value.update(2);
  const model = new DatabaseModel();
  const create: CreateBackend = (options) =>
    new MemoryStateBackend({ ...options, cold: coldBelow(model, LIVE_BYTES) });
  const restored = new Operator(create, 1, await writer.snapshot());
  t.is(model.reads, 0);
  t.true(model.size > keys.length / 4 && model.size < keys.length);
  for (const [index, key] of keys.entries()) {
    t.is((await restored.at(key)).value.value(), index < 600 ? 2 : 1);
  }
});
