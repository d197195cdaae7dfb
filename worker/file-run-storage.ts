/**
 * A slot's runs as files of one folder. They are scratch: neither synced nor kept beyond the slot, so
 * nothing here outlives a power loss, and nothing has to. The slot's thread and the merge thread open
 * the same folder.
 */
import { createHash } from 'node:crypto';
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { MillraceError } from '../core/errors.js';
import { createFolder } from '../storage/create-folder.js';
import { describeIoError } from '../storage/io-error.js';
import type { RunBytes, RunStorage } from './state/run-storage.js';

export class FileRunStorage implements RunStorage {
  readonly #folder: string;

  /** @param folder exists: see `open` */
  constructor(folder: string) {
    this.#folder = folder;
  }

  /** Makes the folder. @throws MillraceError STORAGE_UNAVAILABLE */
  static async open(folder: string): Promise<FileRunStorage> {
    await createFolder(folder);
    return new FileRunStorage(folder);
  }

  async write(name: string, bytes: Uint8Array): Promise<void> {
    const file = this.pathOf(name);
    try {
      await writeFile(file, bytes);
    } catch (error) {
      // Half a run must not take the room that the next attempt needs.
      await rm(file, { force: true }).catch(() => undefined);
      throw describeIoError(error, file);
    }
  }

  open(name: string): RunBytes {
    const file = this.pathOf(name);
    try {
      const descriptor = openSync(file, 'r');
      return new FileRun(file, descriptor, fstatSync(descriptor).size);
    } catch (error) {
      throw describeIoError(error, file);
    }
  }

  async remove(name: string): Promise<void> {
    const file = this.pathOf(name);
    try {
      await rm(file, { force: true });
    } catch (error) {
      throw describeIoError(error, file);
    }
  }

  /** Where a run lies. Names of runs hold what users chose, so they are no file names. */
  pathOf(name: string): string {
    return path.join(this.#folder, `${createHash('sha256').update(name).digest('hex')}.run`);
  }
}

class FileRun implements RunBytes {
  readonly lengthBytes: number;
  readonly #file: string;
  readonly #descriptor: number;

  constructor(file: string, descriptor: number, lengthBytes: number) {
    this.#file = file;
    this.#descriptor = descriptor;
    this.lengthBytes = lengthBytes;
  }

  read(offset: number, lengthBytes: number): Uint8Array {
    // Not from the pool of small buffers: decoders look at 8-byte words in place.
    const bytes = new Uint8Array(lengthBytes);
    let done = 0;
    try {
      while (done < lengthBytes) {
        const count = readSync(this.#descriptor, bytes, done, lengthBytes - done, offset + done);
        if (count === 0) break;
        done += count;
      }
    } catch (error) {
      throw describeIoError(error, this.#file);
    }
    if (done === lengthBytes) return bytes;
    throw new MillraceError(
      'STORAGE_UNAVAILABLE',
      `${this.#file} ended after ${offset + done} bytes while it was read; leave the worker's data folder alone, the job restarts from its last checkpoint`,
    );
  }

  close(): void {
    closeSync(this.#descriptor);
  }
}
