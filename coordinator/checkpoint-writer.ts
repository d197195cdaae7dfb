/**
 * Manifests of checkpoints in the blob store. A manifest is written last, when all files it names are
 * durable; on the way back it is verified, and so is that its files are there. It must never replace
 * a manifest that a pointer names.
 */
import {
  MANIFEST_NAME,
  parseManifest,
  stringifyManifest,
  type CheckpointManifest,
} from '../core/checkpoint-manifest.js';
import { isMillraceError, MillraceError } from '../core/errors.js';
import { keysOf } from '../core/file-references.js';
import type { StateFile } from '../core/state-file.js';
import type { BlobHandle, BlobStore } from '../storage/blob-store.js';

export interface ReadManifest {
  readonly manifest: CheckpointManifest;
  /** As it was written, to be sent to workers. */
  readonly text: string;
}

export class CheckpointWriter {
  readonly #blobs: BlobStore;

  constructor(blobs: BlobStore) {
    this.#blobs = blobs;
  }

  /**
   * Writes the manifest of a checkpoint whose files are all durable. Files of other checkpoints that
   * it names are taken on trust: the decider has found them in a manifest that is retained.
   * @param prefix of the checkpoint's blobs, with a slash at the end
   * @throws MillraceError CHECKPOINT_FAILED when a file isn't where its task says; STORAGE_CONFLICT
   *   when there is one, of another cluster that uses the same storage; STORAGE_UNAVAILABLE
   */
  async write(manifest: CheckpointManifest, prefix: string): Promise<BlobHandle> {
    const missing = await this.#missing(
      filesOf(manifest).filter(({ key }) => key.startsWith(prefix)),
    );
    if (missing !== undefined) {
      throw new MillraceError(
        'CHECKPOINT_FAILED',
        `a task acknowledged ${missing}; do the workers use the coordinator's checkpoint storage?`,
      );
    }
    const text = Buffer.from(stringifyManifest(manifest));
    return this.#blobs.put(prefix + MANIFEST_NAME, text, { ifAbsent: true });
  }

  /**
   * Reads a manifest and checks that all of its files are there in full; their checksums are
   * verified by the tasks that read them.
   * @throws MillraceError CHECKPOINT_CORRUPT naming the damage; STORAGE_UNAVAILABLE
   */
  async read(handle: BlobHandle): Promise<ReadManifest> {
    const { manifest, text } = await this.#parse(handle);
    const missing = await this.#missing(filesOf(manifest));
    if (missing !== undefined) throw corrupt(`it names ${missing}`);
    return { manifest, text };
  }

  /**
   * The blob keys that a retained checkpoint keeps from being deleted: its manifest's own, and all
   * that it names.
   * @throws MillraceError CHECKPOINT_CORRUPT, STORAGE_UNAVAILABLE
   */
  async references(handle: BlobHandle): Promise<ReadonlySet<string>> {
    const { manifest } = await this.#parse(handle);
    return keysOf(manifest.vertices.flatMap(({ tasks }) => tasks)).add(handle.key);
  }

  async #parse(handle: BlobHandle): Promise<ReadManifest> {
    let text: string;
    try {
      text = Buffer.from(await this.#blobs.get(handle.key, handle)).toString('utf8');
    } catch (error) {
      if (!isMillraceError(error) || error.code === 'STORAGE_UNAVAILABLE') throw error;
      throw corrupt(error.message, error);
    }
    return { manifest: parseManifest(text, handle.key), text };
  }

  /** Says which file isn't there as the manifest describes it. */
  async #missing(files: readonly StateFile[]): Promise<string | undefined> {
    const lengths = new Map<string, number>();
    const folders = new Set(files.map(({ key }) => key.slice(0, key.lastIndexOf('/') + 1)));
    for (const folder of folders) {
      for await (const { key, lengthBytes } of this.#blobs.list(folder)) {
        lengths.set(key, lengthBytes);
      }
    }
    for (const { key, lengthBytes, operator } of files) {
      const actual = lengths.get(key);
      if (actual === lengthBytes) continue;
      const found = actual === undefined ? "isn't there" : `has ${actual} bytes`;
      return `${key} of operator "${operator}" with ${lengthBytes} bytes, but it ${found}`;
    }
    return undefined;
  }
}

function filesOf({ vertices }: CheckpointManifest): readonly StateFile[] {
  return vertices.flatMap(({ tasks }) => tasks.flatMap(({ files }) => files));
}

function corrupt(what: string, cause?: unknown): MillraceError {
  return new MillraceError(
    'CHECKPOINT_CORRUPT',
    `the checkpoint can't be restored: ${what}; restore from an older checkpoint or a savepoint by ` +
      'submitting the job again with --from-savepoint',
    { cause },
  );
}
