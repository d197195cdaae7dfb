/**
 * From what a user writes after `--checkpoint-storage` to an open BlobStore. The only file that knows
 * all implementations; what stands behind S3 is loaded only when it is asked for.
 */
import type { Clock, Random } from '../core/clock.js';
import { parseBlobLocation } from './blob-location.js';
import type { BlobStore } from './blob-store.js';
import { FileBlobStore } from './file-blob-store.js';

/**
 * @param location a folder, `file:FOLDER` or `s3://BUCKET/PREFIX`, as storage/blob-location.ts reads it
 * @throws MillraceError USAGE for a location of no such form; else as the store's `open`
 */
export async function openBlobStore(
  location: string,
  { clock, random }: { readonly clock: Clock; readonly random: Pick<Random, 'id'> },
): Promise<BlobStore> {
  const parsed = parseBlobLocation(location);
  if (parsed.type === 'file') return FileBlobStore.open(parsed.folder);
  const { S3BlobStore } = await import('./s3-blob-store.js');
  return S3BlobStore.open(parsed, { clock, random });
}
