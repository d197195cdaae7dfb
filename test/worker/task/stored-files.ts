/** Checkpoint files in memory that can be deleted and spoiled; what is read is verified. */
import { MillraceError } from '../../../core/errors.js';
import type { StateFile } from '../../../core/state-file.js';
import { BlobDigest, type BlobExpectation } from '../../../storage/blob-store.js';
import { joined } from '../../../worker/state/run-storage.js';
import type { CheckpointStorage } from '../../../worker/task/task-environment.js';

export class StoredFiles implements CheckpointStorage {
  readonly #files = new Map<string, Uint8Array>();

  write(
    prefix: string,
    name: string,
    pieces: Iterable<Uint8Array>,
  ): ReturnType<CheckpointStorage['write']> {
    const key = prefix + name;
    const copy = joined(pieces);
    this.#files.set(key, copy);
    return new Promise((resolve) => setImmediate(() => resolve({ key, ...describe(copy) })));
  }

  read({ key, lengthBytes, sha256 }: StateFile): Promise<Uint8Array> {
    const bytes = this.#files.get(key);
    const found = bytes === undefined ? undefined : describe(bytes);
    return bytes !== undefined && found?.lengthBytes === lengthBytes && found.sha256 === sha256
      ? Promise.resolve(bytes.slice())
      : Promise.reject(
          new MillraceError('CHECKPOINT_CORRUPT', `${key} is gone or damaged; take another one`),
        );
  }

  /** Changes a file behind the storage's back. @returns undoes it */
  spoil(key: string, change: (bytes: Uint8Array) => Uint8Array | undefined): () => void {
    const bytes = this.#files.get(key);
    const spoiled = bytes === undefined ? undefined : change(bytes.slice());
    if (spoiled === undefined) this.#files.delete(key);
    else this.#files.set(key, spoiled);
    return () => {
      if (bytes !== undefined) this.#files.set(key, bytes);
    };
  }

  delete(key: string): void {
    this.#files.delete(key);
  }

  deletePrefix(prefix: string, keep: ReadonlySet<string>): void {
    for (const key of this.#files.keys()) {
      if (key.startsWith(prefix) && !keep.has(key)) this.#files.delete(key);
    }
  }
}

function describe(bytes: Uint8Array): BlobExpectation {
  const digest = new BlobDigest();
  digest.update(bytes);
  return digest.finish();
}
