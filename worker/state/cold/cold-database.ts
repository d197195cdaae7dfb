/**
 * The ordered byte store below the state that does not fit into memory, as the slot's thread sees it:
 * every call answers at once or blocks, and a read sees all writes before it. What the bytes mean is
 * for the tables above to know; it must never look into a key.
 */

/** Keys from `from` (included) to `to` (excluded), ordered as unsigned bytes. */
export interface ByteRange {
  readonly from: Uint8Array;
  readonly to: Uint8Array;
}

export interface DatabaseRow {
  readonly key: Uint8Array;
  readonly value: Uint8Array;
}

export interface DatabasePage {
  readonly rows: readonly DatabaseRow[];
  /** Whether there may be rows after the last one. */
  readonly more: boolean;
}

/** A read under way. */
export interface PendingRead {
  /** Values in the order of the keys, undefined for what is not there; blocks until they are here. Called once. */
  values(): readonly (Uint8Array | undefined)[];
}

export interface WalkOptions {
  readonly rowsMax: number;
  /** Rows that are expired by then (row-header.ts) are removed; undefined removes nothing. */
  readonly nowSeconds: number | undefined;
  /** Whether to report the hashes of the keys that stay. */
  readonly hashes: boolean;
}

/** What one step of a walk has done. */
export interface WalkPage {
  /** Where the next step begins; undefined after the last. */
  readonly next: Uint8Array | undefined;
  readonly removed: number;
  /** What was in the removed rows, by their headers. */
  readonly removedThings: number;
  /** `murmur3Hash32` of each key that stayed, if asked for. */
  readonly hashes: Uint32Array;
}

/** A step of a walk that goes on in the background. */
export interface PendingWalk {
  /** undefined while it is under way. Never blocks. */
  result(): WalkPage | undefined;
}

export interface DatabaseStatistics {
  readonly diskBytes: number;
  readonly keysEstimate: number;
  readonly writeBufferBytes: number;
  /** Memory of the indexes and filters of open files: about 2% of what is stored. */
  readonly tableBytes: number;
}

/** Every method throws MillraceError STORAGE_UNAVAILABLE; once one has, all do. */
export interface ColdDatabase {
  getMany(keys: readonly Uint8Array[]): readonly (Uint8Array | undefined)[];
  /** Begins a read, so that other work can be done until its values are needed. */
  beginRead(keys: readonly Uint8Array[]): PendingRead;
  put(key: Uint8Array, value: Uint8Array): void;
  delete(key: Uint8Array): void;
  /** @param rowsMax removes at most so many, from the first on; all unless told */
  deleteRange(range: ByteRange, rowsMax?: number): void;
  /** The first rows of a range, ascending: at most `rowsMax`, and no more once they exceed 1 MiB. */
  page(range: ByteRange, rowsMax: number): DatabasePage;
  /**
   * Removes expired rows and reports keys, in the background and in order with the writes; until its
   * result is here, reads may still see what it removes.
   */
  walk(range: ByteRange, options: WalkOptions): PendingWalk;
  /** Sends gathered writes on their way. */
  flush(): void;
  approximateBytes(range: ByteRange): number;
  statistics(): DatabaseStatistics;
}
