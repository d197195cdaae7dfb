/**
 * Elements of collections too large to be loaded whole: a row for each name of a map, or for each
 * stretch of a list. A collection is a number, which the row of its key remembers: what it held is
 * deleted in slices after it was dropped, since its number never comes again. A list expires as a
 * whole, and the row of its key goes without a word: when, is remembered here.
 */
import { successorOf } from './byte-order.js';
import type { ColdDatabase } from './cold-database.js';
import { elementKey, elementRange, elementsOf, readElementName } from './cold-key.js';
import { FilteredTable } from './filtered-table.js';
import type { FilterBudget } from './key-filter.js';
import { withoutHeader } from './row-header.js';

/** Rows of a dropped collection deleted at once: some milliseconds of the state thread's time. */
const DELETE_ROWS = 4096;
/** Collections that may have expired looked at in one step. */
const EXPIRY_VISITS = 64;
/** Elements that a page brings, unless they are large. */
const PAGE_ROWS = 256;

export interface ColdElement {
  readonly name: Uint8Array;
  readonly contents: Uint8Array;
}

export interface ElementPage {
  readonly elements: readonly ColdElement[];
  /** Whether there may be more after the last. */
  readonly more: boolean;
}

interface DroppedCollection {
  readonly collection: number;
  rowsLeft: number;
}

interface ExpiringCollection {
  readonly rows: number;
  readonly expiresAtMs: number;
}

export class ColdElements {
  readonly #database: ColdDatabase;
  readonly #operator: number;
  readonly #table: FilteredTable;
  readonly #dropped: DroppedCollection[] = [];
  /** Those whose key is not in memory. */
  readonly #expiring = new Map<number, ExpiringCollection>();
  #collections = 0;

  constructor(database: ColdDatabase, operator: number, budget: FilterBudget) {
    this.#database = database;
    this.#operator = operator;
    this.#table = new FilteredTable(database, elementsOf(operator), budget);
  }

  /** @returns number of a new collection, with nothing in it */
  create(): number {
    return this.#collections++;
  }

  get(collection: number, name: Uint8Array): Uint8Array | undefined {
    return this.#table.beginRead([elementKey(this.#operator, collection, name)]).values()[0];
  }

  put(collection: number, name: Uint8Array, contents: Uint8Array, expiresAtMs?: number): void {
    this.#table.put(elementKey(this.#operator, collection, name), contents, expiresAtMs, 1);
  }

  delete(collection: number, name: Uint8Array): void {
    this.#table.delete(elementKey(this.#operator, collection, name));
  }

  /** Elements in order of their names: the first, or those after a name. */
  page(
    collection: number,
    after: Uint8Array | undefined,
    countMax: number = PAGE_ROWS,
  ): ElementPage {
    const { from, to } = elementRange(this.#operator, collection);
    const start =
      after === undefined ? from : successorOf(elementKey(this.#operator, collection, after));
    const { rows, more } = this.#database.page({ from: start, to }, countMax);
    const elements = rows.map((row) => ({
      name: readElementName(row.key),
      contents: withoutHeader(row.value),
    }));
    return { elements, more };
  }

  /** Nobody asks for this collection again. @param rows about how many there are */
  drop(collection: number, rows: number): void {
    this.#dropped.push({ collection, rowsLeft: rows });
  }

  /**
   * Nobody asks for this collection after that time, unless it is kept before.
   * @param expiresAtMs Infinity: never
   */
  expire(collection: number, rows: number, expiresAtMs: number): void {
    if (expiresAtMs < Infinity) this.#expiring.set(collection, { rows, expiresAtMs });
  }

  keep(collection: number): void {
    this.#expiring.delete(collection);
  }

  /** Background work; never blocks. */
  tidy(now: number): void {
    this.#dropExpired(now);
    this.#deleteSlice();
    this.#table.tidy(now);
  }

  /** The next few, going round. */
  #dropExpired(now: number): void {
    let left = Math.min(EXPIRY_VISITS, this.#expiring.size);
    for (const [collection, expiring] of this.#expiring) {
      if (left-- === 0) break;
      this.#expiring.delete(collection);
      if (expiring.expiresAtMs <= now) this.drop(collection, expiring.rows);
      else this.#expiring.set(collection, expiring);
    }
  }

  #deleteSlice(): void {
    const first = this.#dropped[0];
    if (first === undefined) return;
    const range = elementRange(this.#operator, first.collection);
    first.rowsLeft -= DELETE_ROWS;
    // Counts are about right only: the last slice takes whatever there is.
    const isLast = first.rowsLeft <= 0;
    this.#table.deleteRange(range, isLast ? Infinity : DELETE_ROWS, DELETE_ROWS);
    if (isLast) this.#dropped.shift();
  }
}
