/**
 * `coordinator.json` in the data folder: where the cluster of that folder listens, so that commands
 * on the same machine find it without an address. Written whole or not at all; a hint, which may
 * outlive its coordinator: whoever reads it must be ready for nobody to answer.
 */
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { MillraceError } from '../core/errors.js';
import { JsonReader } from '../core/json-reader.js';

const FILE_NAME = 'coordinator.json';

export interface Discovery {
  /** `host:port` of the REST API. */
  readonly rest: string;
  /** `host:port` that workers connect to. */
  readonly rpc: string;
  readonly pid: number;
  readonly epoch: number;
}

/** @throws MillraceError STORAGE_UNAVAILABLE */
export async function writeDiscovery(folder: string, discovery: Discovery): Promise<void> {
  const path = join(folder, FILE_NAME);
  const temporary = `${path}.${discovery.pid}.new`;
  try {
    await mkdir(folder, { recursive: true });
    await writeFile(temporary, `${JSON.stringify(discovery)}\n`, { flush: true });
    await rename(temporary, path);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new MillraceError(
      'STORAGE_UNAVAILABLE',
      `${path} can't be written (${reason}); check the folder's permissions and free space`,
      { cause: error },
    );
  }
}

/** Removes the file if it is still this coordinator's. */
export async function removeDiscovery(folder: string, epoch: number): Promise<void> {
  if ((await readDiscovery(folder))?.epoch !== epoch) return;
  await rm(join(folder, FILE_NAME), { force: true });
}

/** What the folder's coordinator wrote last; undefined when there is nothing readable. */
export async function readDiscovery(folder: string): Promise<Discovery | undefined> {
  try {
    const reader = new JsonReader(
      JSON.parse(await readFile(join(folder, FILE_NAME), 'utf8')),
      FILE_NAME,
    );
    return {
      rest: reader.field('rest').string(),
      rpc: reader.field('rpc').string(),
      pid: reader.field('pid').count(),
      epoch: reader.field('epoch').count(),
    };
  } catch {
    return undefined;
  }
}
