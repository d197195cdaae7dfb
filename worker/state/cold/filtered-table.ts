/**
 * A table of the cold store whose rows are read by their keys: a filter answers for most keys that
 * are not there, a header on each row says when it expires. `tidy` walks through the table in the
 * background: it removes expired rows and, once many keys were deleted, makes the filter anew.
 */
import { murmur3Hash32 } from '../../../core/murmur3.js';
import type { ByteRange, ColdDatabase, PendingRead, PendingWalk } from './cold-database.js';
import { KeyFilter, type FilterBudget } from './key-filter.js';
import { withHeader, withoutHeader } from './row-header.js';

/** Rows of one step of the walk: some milliseconds of the state thread's time. */
const WALK_ROWS = 4096;
/** Deleted keys make a new filter worth a walk through the table once there are this many. */
const DELETED_MIN = 4096;

export class FilteredTable {
  readonly #database: ColdDatabase;
  readonly #range: ByteRange;
  readonly #budget: FilterBudget;
  #filter: KeyFilter;
  /** The next filter, while the walk gathers the keys that there are. */
  #gathering: KeyFilter | undefined;
  /** Keys deleted since the walk that made the filter began. */
  #deleted = 0;
  #forgets = false;
  /** Whether any row can expire. */
  #expires = false;
  #walk: PendingWalk | undefined;
  /** Where the walk goes on. */
  #position: Uint8Array;

  constructor(database: ColdDatabase, range: ByteRange, budget: FilterBudget) {
    this.#database = database;
    this.#range = range;
    this.#budget = budget;
    this.#filter = new KeyFilter(budget);
    this.#position = range.from;
  }

  /** False only if there is surely no such row. */
  mayHave(key: Uint8Array): boolean {
    return this.#filter.mayHave(murmur3Hash32(key));
  }

  /** Begins to read rows; their contents come in the order of the keys. */
  beginRead(keys: readonly Uint8Array[]): PendingRead {
    const asked = keys.filter((key) => this.mayHave(key));
    if (asked.length === 0) return { values: () => keys.map(() => undefined) };
    const read = this.#database.beginRead(asked);
    return {
      values: () => {
        const rows = read.values();
        if (asked.length === keys.length) return rows.map(contentsOf);
        let position = 0;
        return keys.map((key) =>
          key === asked[position] ? contentsOf(rows[position++]) : undefined,
        );
      },
    };
  }

  /**
   * @param expiresAtMs when all of the contents are expired; undefined for never
   * @param things how many things are in them
   */
  put(
    key: Uint8Array,
    contents: Uint8Array,
    expiresAtMs: number | undefined,
    things: number,
  ): void {
    const hash = murmur3Hash32(key);
    this.#filter.add(hash);
    this.#gathering?.add(hash);
    if (expiresAtMs !== undefined) this.#expires = true;
    this.#database.put(key, withHeader(contents, expiresAtMs, things));
  }

  delete(key: Uint8Array): void {
    if (!this.mayHave(key)) return;
    this.#database.delete(key);
    this.#deleted++;
  }

  /**
   * @param rowsMax removes at most so many, from the first on
   * @param rows about how many that are
   */
  deleteRange(range: ByteRange, rowsMax: number, rows: number): void {
    this.#database.deleteRange(range, rowsMax);
    this.#deleted += rows;
  }

  /** Whether rows may have been removed because they were expired. */
  get forgets(): boolean {
    return this.#forgets;
  }

  /**
   * A step of the walk, if there is reason for one; never blocks.
   * @returns how many things were in rows that are removed since the last call
   */
  tidy(now: number): number {
    let removed = 0;
    if (this.#walk !== undefined) {
      const page = this.#walk.result();
      if (page === undefined) return 0;
      removed = page.removedThings;
      this.#walk = undefined;
      this.#deleted += page.removed;
      for (const hash of page.hashes) this.#gathering?.add(hash);
      this.#position = page.next ?? this.#range.from;
      if (page.next === undefined) this.#endRound();
    }
    if (
      this.#gathering === undefined &&
      this.#deleted > Math.max(DELETED_MIN, this.#filter.count / 2)
    ) {
      this.#gathering = new KeyFilter(this.#budget);
      this.#deleted = 0;
      this.#position = this.#range.from;
    }
    if (this.#gathering === undefined && !this.#expires) return removed;
    this.#forgets ||= this.#expires;
    this.#walk = this.#database.walk(
      { from: this.#position, to: this.#range.to },
      {
        rowsMax: WALK_ROWS,
        nowSeconds: this.#expires ? Math.floor(now / 1000) : undefined,
        hashes: this.#gathering !== undefined,
      },
    );
    return removed;
  }

  #endRound(): void {
    const gathered = this.#gathering;
    if (gathered === undefined) return;
    this.#gathering = undefined;
    if (gathered.blind) {
      // There is not room for two; the one that knows too many keys is better than none.
      gathered.clear();
      return;
    }
    this.#filter.clear();
    this.#filter = gathered;
  }
}

function contentsOf(row: Uint8Array | undefined): Uint8Array | undefined {
  return row === undefined ? undefined : withoutHeader(row);
}
