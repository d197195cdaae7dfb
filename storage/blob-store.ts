/**
 * The seam to large, immutable things: checkpoint files, manifests, bundles. A blob appears whole or
 * not at all and is durable when `put` returns. The file system or an S3 server stands behind it; one
 * contract suite holds for both. This file must never know which.
 */
import { createHash } from 'node:crypto';
import { invariant, MillraceError } from '../core/errors.js';

/** Longest key, and longest part of a key between slashes, in bytes. */
export const BLOB_KEY_BYTES_MAX = 1024;
export const BLOB_KEY_SEGMENT_BYTES_MAX = 200;

/** What a blob must be when it is read back. */
export interface BlobExpectation {
  readonly lengthBytes: number;
  /** SHA-256 of the content, 64 lower-case hex digits. */
  readonly sha256: string;
}

/** A stored blob; whoever refers to it keeps this, so that damage is noticed on the way back. */
export interface BlobHandle extends BlobExpectation {
  readonly key: string;
}

export interface BlobListing {
  readonly key: string;
  readonly lengthBytes: number;
}

/** What a blob is to hold: all of it, or piece by piece. */
export type BlobData = Uint8Array | Iterable<Uint8Array> | AsyncIterable<Uint8Array>;

export interface BlobPutOptions {
  /** Refuse to replace: STORAGE_CONFLICT if the key exists. Of racing puts exactly one succeeds. */
  readonly ifAbsent?: boolean;
}

/**
 * Keys: segments of `A-Z a-z 0-9 . _ = -` joined by `/`, none beginning with a dot; a key is never
 * the folder of another key. Fails with MillraceError STORAGE_UNAVAILABLE if the store can't do it.
 * A failed put leaves what was there before, unless it is the answer that was lost: then the whole new
 * blob may stand there, at once or a little later. So a key is written with one content only.
 */
export interface BlobStore {
  /** @param data a piece stays unchanged until the next is asked for; what is given whole, until the put has ended */
  put(key: string, data: BlobData, options?: BlobPutOptions): Promise<BlobHandle>;
  /**
   * The whole blob.
   * @throws MillraceError BLOB_NOT_FOUND; STORAGE_CORRUPT naming the blob and what differs from
   *   `expected`
   */
  get(key: string, expected?: BlobExpectation): Promise<Uint8Array>;
  /** Every blob whose key begins with `prefix`, ordered by key. */
  list(prefix: string): AsyncIterable<BlobListing>;
  /** Deleting a blob that isn't there is no error. */
  delete(key: string): Promise<void>;
  /** Deletes many at once; when it fails, some of them may be left. */
  deleteAll(keys: Iterable<string> | AsyncIterable<string>): Promise<void>;
  /**
   * Removes what puts under `prefix` have left that will never end. A put that still lives there may
   * fail by it, so it is for where nobody writes any more, or for what was begun long ago.
   * @param begunBeforeMs wall-clock time in ms; all unless told
   */
  removeUnfinished(prefix: string, begunBeforeMs?: number): Promise<void>;
}

/** @throws MillraceError INTERNAL if the key isn't of the form above, so never leaves the store */
export function checkBlobKey(key: string): void {
  invariant(isBlobKey(key), `${JSON.stringify(key)} is a bad blob key`);
}

/** Whether a key is of the form above. */
export function isBlobKey(key: string): boolean {
  return (
    key.length <= BLOB_KEY_BYTES_MAX &&
    key
      .split('/')
      .every(
        (segment) =>
          /^[A-Za-z0-9_=-][A-Za-z0-9._=-]*$/.test(segment) &&
          segment.length <= BLOB_KEY_SEGMENT_BYTES_MAX,
      )
  );
}

/** Counts and hashes a blob on its way in or out. */
export class BlobDigest {
  #lengthBytes = 0;
  readonly #hash = createHash('sha256');

  update(piece: Uint8Array): void {
    this.#lengthBytes += piece.byteLength;
    this.#hash.update(piece);
  }

  finish(): BlobExpectation {
    return { lengthBytes: this.#lengthBytes, sha256: this.#hash.digest('hex') };
  }
}

/**
 * @param where the blob as the user can find it, a path or an address
 * @throws MillraceError STORAGE_CORRUPT naming what differs
 */
export function checkBlob(where: string, actual: BlobExpectation, expected: BlobExpectation): void {
  const difference =
    actual.lengthBytes !== expected.lengthBytes
      ? `it has ${actual.lengthBytes} bytes, not ${expected.lengthBytes}`
      : actual.sha256 !== expected.sha256
        ? `its SHA-256 is ${actual.sha256}, not ${expected.sha256}`
        : undefined;
  if (difference === undefined) return;
  throw new MillraceError(
    'STORAGE_CORRUPT',
    `${where} is damaged: ${difference}; use another copy, such as an older checkpoint`,
  );
}
