/**
 * What one operator of a slot keeps out of memory: rows of evicted keys, elements of large
 * collections, timers and windows, over the one database of the slot. All of it is bytes and none of
 * it outlives the slot; it must never know what a value is.
 */
import type { ColdDatabase } from './cold-database.js';
import { ColdElements } from './cold-elements.js';
import { ColdRows } from './cold-rows.js';
import { ColdTimers } from './cold-timers.js';
import { ColdWindows } from './cold-windows.js';
import type { FilterBudget } from './key-filter.js';

export interface ColdStoreOptions {
  readonly database: ColdDatabase;
  /** Number of the operator within the slot, 0..65535. */
  readonly operator: number;
  /** Shared by the operators of the slot. */
  readonly filterBudget: FilterBudget;
}

export class ColdStore {
  readonly rows: ColdRows;
  readonly elements: ColdElements;
  readonly timers: ColdTimers;
  readonly #options: ColdStoreOptions;
  readonly #windows: ColdWindows[] = [];

  constructor(options: ColdStoreOptions) {
    const { database, operator, filterBudget } = options;
    this.#options = options;
    this.rows = new ColdRows(database, operator, filterBudget);
    this.elements = new ColdElements(database, operator, filterBudget);
    this.timers = new ColdTimers(database, operator);
  }

  /** Windows of one more state. @param state number of the state within the operator, 0..65535 */
  windows(state: number): ColdWindows {
    const { database, operator, filterBudget } = this.#options;
    const windows = new ColdWindows(database, operator, state, filterBudget);
    this.#windows.push(windows);
    return windows;
  }

  /** Sends gathered writes on their way: at the end of a batch. */
  flush(): void {
    this.#options.database.flush();
  }

  /**
   * A bounded step of background work; never blocks.
   * @param now processing time, ms since the epoch
   * @returns how many things were in rows of keys that were removed
   */
  tidy(now: number): number {
    this.elements.tidy(now);
    for (const windows of this.#windows) windows.tidy();
    return this.rows.tidy(now);
  }
}
