/** Cold stores for backends under test: over the model of a database or a real one, with any budget. */
import type { ColdDatabase } from '../../../worker/state/cold/cold-database.js';
import { ColdStore } from '../../../worker/state/cold/cold-store.js';
import { FilterBudget } from '../../../worker/state/cold/key-filter.js';
import type { ColdBelow } from '../../../worker/state/key-cache.js';
import { LiveMemory } from '../../../worker/state/live-memory.js';

const FILTER_BYTES = 1024 * 1024;

let operators = 0;

/** @param liveBytes what may stay in memory; 0: nothing but the current key */
export function coldBelow(database: ColdDatabase, liveBytes: number): ColdBelow {
  const memory = new LiveMemory(liveBytes);
  const filterBudget = new FilterBudget(FILTER_BYTES);
  return {
    memory,
    newStore: () => new ColdStore({ database, operator: operators++ & 0xffff, filterBudget }),
  };
}
