/** A stretch of this process's time: how long it was, what it cost, and what others took of the machine meanwhile. */
import { otherLoad, readLoad } from './machine-load.js';
import { FOREIGN_CORES_MAX } from './measurement.js';

export interface StretchResult {
  readonly recordsPerSecond: number;
  readonly recordsPerCpuSecond: number;
  readonly foreignCores: number;
  readonly stealCores: number;
  readonly noisy: boolean;
}

export class Stretch {
  readonly #before: ReturnType<typeof readLoad>;
  readonly #helpers: readonly number[];

  /** Begins. @param helpers processes that work for this one: what they take is not others' */
  constructor(helpers: readonly number[] = []) {
    this.#helpers = helpers;
    this.#before = readLoad(helpers);
  }

  get seconds(): number {
    return (performance.now() - this.#before.monotonicMs) / 1000;
  }

  /** @param records that were done in it */
  end(records: number): StretchResult {
    const before = this.#before;
    const after = readLoad(this.#helpers);
    const load = otherLoad(before, after);
    return {
      recordsPerSecond: (records * 1000) / (after.monotonicMs - before.monotonicMs),
      recordsPerCpuSecond: records / (after.ownCpuSeconds - before.ownCpuSeconds),
      ...load,
      noisy: load.foreignCores > FOREIGN_CORES_MAX,
    };
  }
}
