/**
 * A slot's runs as files of one folder. They are scratch: neither synced nor kept beyond the slot, so
 * nothing here outlives a power loss, and nothing has to. The slot's thread and the merge thread open
 * the same folder.
 */
import { createHash } from 'node:crypto';
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { open, rm, type FileHandle } from 'node:fs/promises';
import path from 'node:path';
import { MillraceError } from '../core/errors.js';
import { createFolder } from '../storage/create-folder.js';
import { describeIoError } from '../storage/io-error.js';
import type { RunBytes, RunOutput, RunStorage } from './state/run-storage.js';

/** Of a run that is read from its beginning to its end. */
const PIECE_BYTES = 512 * 1024;
/** Pieces that one call to the system takes. */
const VECTOR_MAX = 1024;

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

  async create(name: string): Promise<RunOutput> {
    const file = this.pathOf(name);
    try {
      return new FileRunOutput(file, await open(file, 'w'));
    } catch (error) {
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

class FileRunOutput implements RunOutput {
  readonly #file: string;
  readonly #handle: FileHandle;

  constructor(file: string, handle: FileHandle) {
    this.#file = file;
    this.#handle = handle;
  }

  async append(pieces: readonly Uint8Array[]): Promise<void> {
    try {
      for (let at = 0; at < pieces.length; at += VECTOR_MAX) {
        await this.#writeAll(pieces.slice(at, at + VECTOR_MAX));
      }
    } catch (error) {
      throw describeIoError(error, this.#file);
    }
  }

  async close(): Promise<void> {
    try {
      await this.#handle.close();
    } catch (error) {
      throw describeIoError(error, this.#file);
    }
  }

  async discard(): Promise<void> {
    await this.#handle.close().catch(() => undefined);
    await rm(this.#file, { force: true }).catch(() => undefined);
  }

  /** The system may take less than it is given. */
  async #writeAll(pieces: readonly Uint8Array[]): Promise<void> {
    let { bytesWritten } = await this.#handle.writev(pieces);
    for (const piece of pieces) {
      if (bytesWritten < piece.length) await this.#handle.writeFile(piece.subarray(bytesWritten));
      bytesWritten = Math.max(0, bytesWritten - piece.length);
    }
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
    this.#fill(bytes, offset);
    return bytes;
  }

  *pieces(): Generator<Uint8Array, void, undefined> {
    const piece = new Uint8Array(Math.min(PIECE_BYTES, this.lengthBytes));
    for (let offset = 0; offset < this.lengthBytes; offset += piece.length) {
      const bytes = piece.subarray(0, Math.min(piece.length, this.lengthBytes - offset));
      this.#fill(bytes, offset);
      yield bytes;
    }
  }

  close(): void {
    closeSync(this.#descriptor);
  }

  #fill(bytes: Uint8Array, offset: number): void {
    const { length } = bytes;
    let done = 0;
    try {
      while (done < length) {
        const count = readSync(this.#descriptor, bytes, done, length - done, offset + done);
        if (count === 0) break;
        done += count;
      }
    } catch (error) {
      throw describeIoError(error, this.#file);
    }
    if (done === length) return;
    throw new MillraceError(
      'STORAGE_UNAVAILABLE',
      `${this.#file} ended after ${offset + done} bytes while it was read; leave the worker's data folder alone, the job restarts from its last checkpoint`,
    );
  }
}
