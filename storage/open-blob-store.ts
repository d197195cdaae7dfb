/** Opens the blob store that a location names: `file:DIR` or a folder's path. */
import { MillraceError } from '../core/errors.js';
import type { BlobStore } from './blob-store.js';
import { FileBlobStore } from './file-blob-store.js';

/** @throws MillraceError USAGE for a location of a kind that doesn't exist */
export async function openBlobStore(location: string): Promise<BlobStore> {
  const scheme = /^([a-z][a-z0-9+.-]*):/.exec(location)?.[1];
  if (scheme !== undefined && scheme !== 'file') {
    throw new MillraceError(
      'USAGE',
      `checkpoint storage "${location}" is of an unknown kind; give a folder or file:FOLDER`,
    );
  }
  return FileBlobStore.open(location.replace(/^file:(\/\/)?/, ''));
}
