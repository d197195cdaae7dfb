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
