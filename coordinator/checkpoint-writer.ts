/**
 * Manifests and files of checkpoints in the blob store. The manifest is written last, when all files
 * it names are durable; on the way back it is verified, and so is that its files are there. Orphans
 * (files of checkpoints that never completed or are no longer retained) go. It must never delete
 * what a retained checkpoint or a savepoint names.
 */
import {
  MANIFEST_NAME,
  parseManifest,
  stringifyManifest,
  type CheckpointManifest,
} from '../core/checkpoint-manifest.js';
import { isMillraceError, MillraceError } from '../core/errors.js';
import type { BlobHandle, BlobListing, BlobStore } from '../storage/blob-store.js';

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
   * Writes the manifest of a checkpoint whose files are all durable.
   * @param prefix of the checkpoint's blobs, with a slash at the end
   * @throws MillraceError CHECKPOINT_FAILED when a file isn't where its task says; STORAGE_CONFLICT
   *   when there is one, of another cluster that uses the same storage; STORAGE_UNAVAILABLE
   */
  async write(manifest: CheckpointManifest, prefix: string): Promise<BlobHandle> {
    const missing = await this.#missing(manifest);
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
    let text: string;
    try {
      text = Buffer.from(await this.#blobs.get(handle.key, handle)).toString('utf8');
    } catch (error) {
      if (!isMillraceError(error) || error.code === 'STORAGE_UNAVAILABLE') throw error;
      throw corrupt(error.message, error);
    }
    const manifest = parseManifest(text, handle.key);
    const missing = await this.#missing(manifest);
    if (missing !== undefined) throw corrupt(`it names ${missing}`);
    return { manifest, text };
  }

  /** Deletes everything under the prefix; what is still being written there has nowhere to go. */
  async discard(prefix: string): Promise<void> {
    await this.#blobs.removeUnfinished(prefix);
    await this.#blobs.deleteAll(keysOf(this.#blobs.list(prefix)));
  }

  /**
   * Deletes the files of all of a job's checkpoints that nothing refers to; none may be under way.
   * @param kept ids of retained checkpoints and of savepoints
   */
  async collectOrphans(jobId: string, kept: ReadonlySet<number>): Promise<void> {
    const prefix = `${jobPrefix(jobId)}/chk-`;
    const isOrphan = (key: string): boolean =>
      !kept.has(Number.parseInt(key.slice(prefix.length), 10));
    await this.#blobs.removeUnfinished(prefix);
    await this.#blobs.deleteAll(keysOf(this.#blobs.list(prefix), isOrphan));
  }

  /** Says which file isn't there as the manifest describes it. */
  async #missing(manifest: CheckpointManifest): Promise<string | undefined> {
    const files = manifest.vertices.flatMap(({ tasks }) => tasks.flatMap((task) => task.files));
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

async function* keysOf(
  listings: AsyncIterable<BlobListing>,
  choose: (key: string) => boolean = () => true,
): AsyncGenerator<string, void, undefined> {
  for await (const { key } of listings) if (choose(key)) yield key;
}

/** Under which all checkpoints of a job lie (`chk-N/`), without a slash at the end. */
export function jobPrefix(jobId: string): string {
  return `jobs/${jobId}`;
}

function corrupt(what: string, cause?: unknown): MillraceError {
  return new MillraceError(
    'CHECKPOINT_CORRUPT',
    `the checkpoint can't be restored: ${what}; restore from an older checkpoint or a savepoint by ` +
      'submitting the job again with --from-savepoint',
    { cause },
  );
}
