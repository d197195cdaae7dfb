/**
 * A task's checkpoint files in the blob store: named under the checkpoint's prefix, never
 * replaced, verified when read. Damage is reported as a damaged checkpoint, with the file's name.
 */
import { isMillraceError, MillraceError } from '../core/errors.js';
import type { StateFile } from '../core/state-file.js';
import type { BlobStore } from '../storage/blob-store.js';
import type { CheckpointStorage } from './task/task-environment.js';

/** Of a file that goes out at a time; what hashes and copies it holds the slot's thread up meanwhile. */
const PIECE_BYTES = 512 * 1024;

export class CheckpointFiles implements CheckpointStorage {
  readonly #store: BlobStore;
  readonly #attempt: number;

  /** @param attempt keeps files of two attempts apart */
  constructor(store: BlobStore, attempt: number) {
    this.#store = store;
    this.#attempt = attempt;
  }

  write(
    prefix: string,
    name: string,
    pieces: Iterable<Uint8Array>,
  ): ReturnType<CheckpointStorage['write']> {
    return this.#store.put(`${prefix}${name}-${this.#attempt}`, cut(pieces));
  }

  async read(file: StateFile): Promise<Uint8Array> {
    try {
      return await this.#store.get(file.key, file);
    } catch (error) {
      if (!isMillraceError(error)) throw error;
      if (error.code !== 'STORAGE_CORRUPT' && error.code !== 'BLOB_NOT_FOUND') throw error;
      throw new MillraceError(
        'CHECKPOINT_CORRUPT',
        `the state of operator "${file.operator}" can't be restored: ${error.message}`,
        { cause: error, location: { operator: file.operator } },
      );
    }
  }
}

function* cut(pieces: Iterable<Uint8Array>): Generator<Uint8Array, void, undefined> {
  for (const piece of pieces) {
    for (let at = 0; at < piece.length; at += PIECE_BYTES) {
      yield piece.subarray(at, at + PIECE_BYTES);
    }
  }
}
