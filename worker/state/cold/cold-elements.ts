/**
 * Elements of collections too large to be loaded whole: a row for each key of a map, for each
 * segment of a list. They are read and written one by one, and gone through in order of their names.
 */
import { successorOf } from './byte-order.js';
import type { ColdDatabase, PendingRead } from './cold-database.js';
import { elementKey, elementRange, elementsOf, readElementName, type ColdKey } from './cold-key.js';
import { FilteredTable } from './filtered-table.js';
import type { FilterBudget } from './key-filter.js';
import { withoutHeader } from './row-header.js';

export interface ColdElement {
  readonly name: Uint8Array;
  readonly contents: Uint8Array;
}

export interface ElementPage {
  readonly elements: readonly ColdElement[];
  /** Whether there may be more after the last. */
  readonly more: boolean;
}

export class ColdElements {
  readonly #database: ColdDatabase;
  readonly #operator: number;
  readonly #table: FilteredTable;

  constructor(database: ColdDatabase, operator: number, budget: FilterBudget) {
    this.#database = database;
    this.#operator = operator;
    this.#table = new FilteredTable(database, elementsOf(operator), budget);
  }

  /** Begins to read elements of one key and state, in the order of the names. */
  beginRead(state: number, key: ColdKey, names: readonly Uint8Array[]): PendingRead {
    return this.#table.beginRead(names.map((name) => elementKey(this.#operator, state, key, name)));
  }

  get(state: number, key: ColdKey, name: Uint8Array): Uint8Array | undefined {
    return this.beginRead(state, key, [name]).values()[0];
  }

  /** False only if there is surely no such element. */
  mayHave(state: number, key: ColdKey, name: Uint8Array): boolean {
    return this.#table.mayHave(elementKey(this.#operator, state, key, name));
  }

  put(
    state: number,
    key: ColdKey,
    name: Uint8Array,
    contents: Uint8Array,
    expiresAtMs?: number,
  ): void {
    this.#table.put(elementKey(this.#operator, state, key, name), contents, expiresAtMs, 1);
  }

  delete(state: number, key: ColdKey, name: Uint8Array): void {
    this.#table.delete(elementKey(this.#operator, state, key, name));
  }

  /** @param count about how many there are */
  deleteAll(state: number, key: ColdKey, count: number): void {
    this.#table.deleteRange(elementRange(this.#operator, state, key), count);
  }

  /** Elements in order of their names: the first, or those after a name. */
  page(state: number, key: ColdKey, after: Uint8Array | undefined, countMax: number): ElementPage {
    const { from, to } = elementRange(this.#operator, state, key);
    const start =
      after === undefined ? from : successorOf(elementKey(this.#operator, state, key, after));
    const { rows, more } = this.#database.page({ from: start, to }, countMax);
    const elements = rows.map((row) => ({
      name: readElementName(row.key),
      contents: withoutHeader(row.value),
    }));
    return { elements, more };
  }

  /** Background work; never blocks. */
  tidy(now: number): void {
    this.#table.tidy(now);
  }
}
