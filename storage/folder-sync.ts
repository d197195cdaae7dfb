/**
 * Makes names durable: a file that was created, renamed or removed survives a power loss only once
 * its folder has been synced. Stands under everything in this room that creates files.
 */
import { open } from 'node:fs/promises';
import { dirname } from 'node:path';
import { createFolder } from './create-folder.js';

/** Waits until the names in `folder` are on disk. */
export async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Creates `folder` and what is missing above it, each durable in the one above. */
export async function makeFolder(folder: string): Promise<void> {
  const topmost = await createFolder(folder);
  if (topmost === undefined) return;
  const above = dirname(topmost);
  for (let created = folder; created !== above; created = dirname(created)) {
    await syncFolder(dirname(created));
  }
}
