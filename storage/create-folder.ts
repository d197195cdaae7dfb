/**
 * A folder with what is missing above it, made, or the true reason why it can't be. Stands under
 * everything that keeps files on this machine; must never hide what the system said.
 */
import { mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import { describeIoError, isErrorCode } from './io-error.js';

/**
 * @returns the topmost folder that was made; undefined when all were there
 * @throws MillraceError STORAGE_UNAVAILABLE
 */
export async function createFolder(folder: string): Promise<string | undefined> {
  try {
    return await mkdir(folder, { recursive: true });
  } catch (error) {
    // All that Node says where the file system is read-only is that the folder is not there.
    const reason = isErrorCode(error, 'ENOENT') ? await refusalOf(folder) : error;
    throw describeIoError(reason ?? error, folder);
  }
}

/** Why the first folder that is missing can't be made; undefined if it can be now. */
async function refusalOf(folder: string): Promise<unknown> {
  try {
    await mkdir(folder);
    return undefined;
  } catch (error) {
    const above = dirname(folder);
    return isErrorCode(error, 'ENOENT') && above !== folder ? refusalOf(above) : error;
  }
}
