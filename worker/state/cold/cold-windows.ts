/**
 * Accumulators of evicted keys by window state and window start, so that a window is gone through and
 * dropped without touching any other. Each window has its own filter, which goes when the window
 * goes; its rows are deleted in slices, so that nothing waits for a large one.
 */
import { murmur3Hash32 } from '../../../core/murmur3.js';
import { successorOf } from './byte-order.js';
import type { ColdDatabase, PendingRead } from './cold-database.js';
import { readWindowKey, windowKey, windowRange, type ColdKey } from './cold-key.js';
import type { ColdRow } from './cold-rows.js';
import { KeyFilter, type FilterBudget } from './key-filter.js';

/** Rows of a dropped window deleted at once: some milliseconds of the state thread's time. */
const DELETE_ROWS = 4096;

export interface WindowPage {
  readonly rows: readonly ColdRow[];
  /** Whether there may be more after the last. */
  readonly more: boolean;
}

/** A window that was dropped and is not deleted yet. */
interface DroppedWindow {
  readonly start: number;
  rowsLeft: number;
}

/** The windows of one state of one operator. */
export class ColdWindows {
  readonly #database: ColdDatabase;
  readonly #operator: number;
  readonly #state: number;
  readonly #budget: FilterBudget;
  readonly #windows = new Map<number, KeyFilter>();
  #dropped: DroppedWindow[] = [];

  constructor(database: ColdDatabase, operator: number, state: number, budget: FilterBudget) {
    this.#database = database;
    this.#operator = operator;
    this.#state = state;
    this.#budget = budget;
  }

  /** Starts of the windows with anything in them, in no order. */
  starts(): IterableIterator<number> {
    return this.#windows.keys();
  }

  /** Begins to read the accumulators of keys in one window, in the order of the keys. */
  beginRead(start: number, keys: readonly ColdKey[]): PendingRead {
    const filter = this.#windows.get(start);
    const rowKeys = keys.map((key) => windowKey(this.#operator, this.#state, start, key));
    const asked = rowKeys.filter((key) => filter?.mayHave(murmur3Hash32(key)) === true);
    if (asked.length === 0) return { values: () => keys.map(() => undefined) };
    const read = this.#database.beginRead(asked);
    return {
      values: () => {
        const rows = read.values();
        let position = 0;
        return rowKeys.map((key) => (key === asked[position] ? rows[position++] : undefined));
      },
    };
  }

  get(start: number, key: ColdKey): Uint8Array | undefined {
    return this.beginRead(start, [key]).values()[0];
  }

  put(start: number, key: ColdKey, accumulator: Uint8Array): void {
    let filter = this.#windows.get(start);
    if (filter === undefined) {
      this.#deleteNow(start);
      filter = new KeyFilter(this.#budget);
      this.#windows.set(start, filter);
    }
    const rowKey = windowKey(this.#operator, this.#state, start, key);
    filter.add(murmur3Hash32(rowKey));
    this.#database.put(rowKey, accumulator);
  }

  /** Rows of a window in order of key group and key: the first, or those after a key. */
  page(start: number, after: ColdKey | undefined, countMax: number): WindowPage {
    if (!this.#windows.has(start)) return { rows: [], more: false };
    const { from, to } = windowRange(this.#operator, this.#state, start);
    const position =
      after === undefined
        ? from
        : successorOf(windowKey(this.#operator, this.#state, start, after));
    const { rows, more } = this.#database.page({ from: position, to }, countMax);
    return {
      rows: rows.map(({ key, value }) => ({ ...readWindowKey(key), contents: value })),
      more,
    };
  }

  /** Drops a window with all of its keys. */
  drop(start: number): void {
    const filter = this.#windows.get(start);
    if (filter === undefined) return;
    this.#dropped.push({ start, rowsLeft: filter.count });
    filter.clear();
    this.#windows.delete(start);
  }

  /** Deletes a slice of what was dropped; never blocks for long. */
  tidy(): void {
    const dropped = this.#dropped[0];
    if (dropped === undefined) return;
    dropped.rowsLeft -= DELETE_ROWS;
    if (dropped.rowsLeft <= 0) this.#deleteNow(dropped.start);
    else this.#deleteRows(dropped.start, DELETE_ROWS);
  }

  /** Deletes what is left of a dropped window, so that it can be put into again. */
  #deleteNow(start: number): void {
    if (!this.#dropped.some((one) => one.start === start)) return;
    this.#dropped = this.#dropped.filter((one) => one.start !== start);
    // Filters count about right only: the last slice takes whatever there is.
    this.#deleteRows(start, Infinity);
  }

  #deleteRows(start: number, rowsMax: number): void {
    this.#database.deleteRange(windowRange(this.#operator, this.#state, start), rowsMax);
  }
}
