/**
 * Bundles by content: a bundle's name is the SHA-256 of its archive, so the same upload is stored
 * once, and what is read back is what was named. Nothing is stored before every check has passed.
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

  async #read(bundleId: string): Promise<Uint8Array> {
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
