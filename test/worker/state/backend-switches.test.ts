/**
 * One history over both backends: a script of random operations whose restores go on with another
 * backend each time, at another parallelism, as a job does whose author changes its `state` option.
 */
import test from 'ava';
import fc from 'fast-check';
import { HeapKeyedStateBackend } from '../../../worker/state/heap-keyed-state-backend.js';
import type { ColdDatabase } from '../../../worker/state/cold/cold-database.js';
import { coldBelow } from './cold-below.js';
import { DatabaseModel } from './cold/database-model.js';
import { openDatabase } from './cold/open-database.js';
import { Operator, type CreateBackend } from './state-fixture.js';
import { runScript, scriptArbitrary } from './state-script.js';

/** What stays in memory where the rest is in a database; undefined: all, in the `memory` backend. */
const liveBytes = fc.constantFrom(undefined, 0, 1000, 5000);

/** The backend of each restore after the other, and then from the first one again. */
const backends = fc.array(liveBytes, { minLength: 2, maxLength: 5 });

/** Each restore makes the backends of all its subtasks anew, that of the first key groups first. */
function switching(
  kinds: readonly (number | undefined)[],
  database: () => ColdDatabase,
): CreateBackend {
  let restores = -1;
  return (options) => {
    if (options.keyGroups.start === 0) restores++;
    const bytes = kinds[restores % kinds.length];
    return new HeapKeyedStateBackend({
      ...options,
      sliceChangesMax: 3,
      collectionBound: { elementsMax: 12, bytesMax: Infinity },
      ...(bytes === undefined ? {} : { cold: coldBelow(database(), bytes) }),
    });
  };
}

test('random operations with a switch of the backend at each restore equal a model', async (t) => {
  await fc.assert(
    fc.asyncProperty(backends, scriptArbitrary, async (kinds, script) => {
      await runScript(new Operator(switching(kinds, () => new DatabaseModel())), script);
    }),
    { numRuns: 60 },
  );
  t.pass();
});

test('the same over a real database', async (t) => {
  const { client } = openDatabase(t);
  await fc.assert(
    fc.asyncProperty(backends, scriptArbitrary, async (kinds, script) => {
      await runScript(new Operator(switching([0, ...kinds], () => client)), script);
    }),
    { numRuns: 15 },
  );
  t.pass();
});
