/** Runs that never leave the memory of the thread: for tests, the simulation and the local runner. */
import type { RunServices } from './run-services.js';
import { InThreadMerger } from './run-merge.js';
import { MemoryRunStorage } from './run-storage.js';

/** @param defer calls back soon, after whatever else the thread has to do */
export function memoryRuns(defer: (callback: () => void) => void): RunServices {
  const storage = new MemoryRunStorage();
  const nextTurn = (): Promise<void> => new Promise((resolve) => defer(resolve));
  return { storage, merger: new InThreadMerger(storage, nextTurn), nextTurn };
}
