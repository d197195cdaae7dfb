/**
 * Rows of evicted keys: all that one operator keeps for a key, as bytes, but for collections too large
 * to be loaded whole. A row stays while its key is live again, so that evicting it unchanged costs
 * nothing.
 */
import type { KeyGroupRange } from '../../../core/key-group.js';
import { successorOf } from './byte-order.js';
import type { ColdDatabase, PendingRead } from './cold-database.js';
import { readRowKey, rowKey, rowRange, type ColdKey } from './cold-key.js';
import { FilteredTable } from './filtered-table.js';
import type { FilterBudget } from './key-filter.js';
import { withoutHeader } from './row-header.js';

/** Rows fetched at once by a scan. */
const PAGE_ROWS = 1000;

export interface ColdRow extends ColdKey {
  readonly contents: Uint8Array;
}

export class ColdRows {
  readonly #database: ColdDatabase;
  readonly #operator: number;
  readonly #table: FilteredTable;

  constructor(database: ColdDatabase, operator: number, budget: FilterBudget) {
    this.#database = database;
    this.#operator = operator;
    this.#table = new FilteredTable(database, rowRange(operator), budget);
  }

  /** Begins to read the rows of keys, in their order. */
  beginRead(keys: readonly ColdKey[]): PendingRead {
    return this.#table.beginRead(keys.map((key) => rowKey(this.#operator, key)));
  }

  get(key: ColdKey): Uint8Array | undefined {
    return this.beginRead([key]).values()[0];
  }

  /**
   * @param contents are copied
   * @param expiresAtMs when all of it is expired; undefined for never
   * @param things how many things are in it
   */
  put(key: ColdKey, contents: Uint8Array, expiresAtMs?: number, things = 1): void {
    this.#table.put(rowKey(this.#operator, key), contents, expiresAtMs, things);
  }

  /** Whether rows may have been removed because they were expired. */
  get forgets(): boolean {
    return this.#table.forgets;
  }

  delete(key: ColdKey): void {
    this.#table.delete(rowKey(this.#operator, key));
  }

  /** The rows of some key groups, in order; those written meanwhile are met or not met. */
  *scan(keyGroups: KeyGroupRange): Iterable<ColdRow> {
    const { from, to } = rowRange(this.#operator, keyGroups);
    for (let next: Uint8Array | undefined = from; next !== undefined;) {
      const { rows, more } = this.#database.page({ from: next, to }, PAGE_ROWS);
      for (const { key, value } of rows) {
        yield { ...readRowKey(key), contents: withoutHeader(value) };
      }
      const last = rows.at(-1);
      next = more && last !== undefined ? successorOf(last.key) : undefined;
    }
  }

  /** Background work; never blocks. @returns how many things were in rows that were removed */
  tidy(now: number): number {
    return this.#table.tidy(now);
  }
}
