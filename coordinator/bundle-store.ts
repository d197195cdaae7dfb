/**
 * Bundles by content: a bundle's name is the SHA-256 of its archive, so the same upload is stored
 * once, and what is read back is what was named. Nothing is stored before every check has passed, and
 * nothing is deleted that an upload has just been told is here.
 */
import { BUNDLE_LIMITS, type BundleLimits } from '../core/bundle.js';
import { isMillraceError, MillraceError } from '../core/errors.js';
import type { BlobStore } from '../storage/blob-store.js';
import { bundleIdOf, openBundleArchive, type OpenedBundle } from '../storage/bundle-archive.js';

export interface StoredBundle extends OpenedBundle {
  readonly bundleId: string;
}

export class BundleStore {
  readonly #blobs: BlobStore;
  readonly #limits: BundleLimits;
  /** Uploaded to this coordinator, and not yet in the record of a job. */
  readonly #unclaimed = new Set<string>();
  /** Deletions under way; who writes or reads waits for them. */
  #discarding: Promise<void> = Promise.resolve();

  constructor(blobs: BlobStore, limits: BundleLimits = BUNDLE_LIMITS) {
    this.#blobs = blobs;
    this.#limits = limits;
  }

  /**
   * Checks and keeps a bundle; the same bytes again are no error.
   * @throws MillraceError BUNDLE_INVALID, BUNDLE_TOO_LARGE, VERSION_MISMATCH, those of the graph,
   *   STORAGE_UNAVAILABLE
   */
  async put(archive: Uint8Array): Promise<StoredBundle> {
    const opened = await openBundleArchive(archive, this.#limits);
    const bundleId = bundleIdOf(archive);
    this.#unclaimed.add(bundleId);
    await this.#discarding;
    await this.#blobs.put(keyOf(bundleId), archive);
    return { bundleId, ...opened };
  }

  /** @throws MillraceError BUNDLE_INVALID when there is none, BUNDLE_CORRUPT, STORAGE_UNAVAILABLE */
  async get(bundleId: string): Promise<Uint8Array> {
    const archive = await this.#read(bundleId);
    if (bundleIdOf(archive) === bundleId) return archive;
    throw new MillraceError(
      'BUNDLE_CORRUPT',
      `the stored bundle ${bundleId} is damaged; upload it again`,
    );
  }

  /** @throws as `get` and `put` */
  async open(bundleId: string): Promise<StoredBundle> {
    return { bundleId, ...(await openBundleArchive(await this.get(bundleId), this.#limits)) };
  }

  /** A job's record names the bundle now, and keeps it from being deleted. */
  claimed(bundleId: string): void {
    this.#unclaimed.delete(bundleId);
  }

  /**
   * Deletes a bundle that no job's record names; one that was uploaded and may be submitted next stays.
   * @throws MillraceError STORAGE_UNAVAILABLE
   */
  async discard(bundleId: string): Promise<void> {
    if (this.#unclaimed.has(bundleId)) return;
    const deleted = this.#discarding.then(() => this.#blobs.delete(keyOf(bundleId)));
    this.#discarding = deleted.catch(() => undefined);
    await deleted;
  }

  async #read(bundleId: string): Promise<Uint8Array> {
    await this.#discarding;
    try {
      return await this.#blobs.get(keyOf(bundleId));
    } catch (error) {
      if (!isMillraceError(error) || error.code !== 'BLOB_NOT_FOUND') throw error;
      throw new MillraceError('BUNDLE_INVALID', `there is no bundle ${bundleId}; upload it first`, {
        cause: error,
      });
    }
  }
}

function keyOf(bundleId: string): string {
  return `bundles/${bundleId}.tar.gz`;
}
