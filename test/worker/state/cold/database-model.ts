/**
 * What a ColdDatabase must be equal to: a map in memory, sorted when it is asked in order. Its walks
 * are done at once.
 */
import { murmur3Hash32 } from '../../../../core/murmur3.js';
import { successorOf } from '../../../../worker/state/cold/byte-order.js';
import type {
  ByteRange,
  ColdDatabase,
  DatabasePage,
  DatabaseRow,
  DatabaseStatistics,
  PendingRead,
  PendingWalk,
  WalkOptions,
} from '../../../../worker/state/cold/cold-database.js';
import { isExpired, thingsIn } from '../../../../worker/state/cold/row-header.js';

export class DatabaseModel implements ColdDatabase {
  readonly #rows = new Map<string, Uint8Array>();
  /** Keys that were read one by one. */
  reads = 0;

  get size(): number {
    return this.#rows.size;
  }

  getMany(keys: readonly Uint8Array[]): readonly (Uint8Array | undefined)[] {
    this.reads += keys.length;
    return keys.map((key) => this.#rows.get(textOf(key)));
  }

  beginRead(keys: readonly Uint8Array[]): PendingRead {
    const values = this.getMany(keys);
    return { values: () => values };
  }

  put(key: Uint8Array, value: Uint8Array): void {
    this.#rows.set(textOf(key), new Uint8Array(value));
  }

  delete(key: Uint8Array): void {
    this.#rows.delete(textOf(key));
  }

  deleteRange(range: ByteRange, rowsMax = Infinity): void {
    for (const { key } of this.#within(range).slice(0, rowsMax)) this.delete(key);
  }

  page(range: ByteRange, rowsMax: number): DatabasePage {
    const rows = this.#within(range);
    return { rows: rows.slice(0, rowsMax), more: rows.length >= rowsMax };
  }

  walk(range: ByteRange, { rowsMax, nowSeconds, hashes }: WalkOptions): PendingWalk {
    const { rows, more } = this.page(range, rowsMax);
    const stay = rows.filter(
      ({ value }) => nowSeconds === undefined || !isExpired(value, nowSeconds),
    );
    for (const row of rows) if (!stay.includes(row)) this.delete(row.key);
    const last = rows.at(-1);
    const result = {
      next: more && last !== undefined ? successorOf(last.key) : undefined,
      removed: rows.length - stay.length,
      removedThings: rows
        .filter((row) => !stay.includes(row))
        .reduce((sum, { value }) => sum + thingsIn(value), 0),
      hashes: Uint32Array.from(hashes ? stay.map(({ key }) => murmur3Hash32(key)) : []),
    };
    return { result: () => result };
  }

  flush(): void {
    // Nothing is gathered.
  }

  approximateBytes(range: ByteRange): number {
    return this.#within(range).reduce((sum, { key, value }) => sum + key.length + value.length, 0);
  }

  statistics(): DatabaseStatistics {
    return { diskBytes: 0, keysEstimate: this.#rows.size, writeBufferBytes: 0, tableBytes: 0 };
  }

  #within({ from, to }: ByteRange): DatabaseRow[] {
    return [...this.#rows]
      .map(([key, value]) => ({ key: Buffer.from(key, 'latin1'), value }))
      .filter(({ key }) => Buffer.compare(key, from) >= 0 && Buffer.compare(key, to) < 0)
      .sort((a, b) => Buffer.compare(a.key, b.key));
  }
}

function textOf(key: Uint8Array): string {
  return Buffer.from(key).toString('latin1');
}
