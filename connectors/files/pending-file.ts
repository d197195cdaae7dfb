/**
 * A file that is being written and not yet visible. Blocks are queued and written in the background,
 * one after another; the first failure is final. It must never be counted as written before `finish`
 * has synced it.
 */
import { open, unlink, type FileHandle } from 'node:fs/promises';
import { crc32 } from 'node:zlib';
import { toMillraceError } from '../../core/errors.js';
import { tryOutput } from './output-error.js';
import type { WriteBacklog } from './write-backlog.js';

export interface FinishedFile {
  readonly path: string;
  readonly lengthBytes: number;
  readonly crc32: number;
}

export class PendingFile {
  readonly path: string;
  readonly #backlog: WriteBacklog;
  readonly #blocks: Buffer[] = [];
  #file: FileHandle | undefined;
  /** Everything queued so far is written once this resolves; it never rejects. */
  #written: Promise<void>;
  #isDraining = false;
  #finished: Promise<FinishedFile> | undefined;
  #failure: Error | undefined;
  #lengthBytes = 0;
  #crc32 = 0;

  /** @param allowed resolves when the file may be created, rejects when it must not be */
  constructor(path: string, allowed: Promise<unknown>, backlog: WriteBacklog) {
    this.path = path;
    this.#backlog = backlog;
    this.#written = this.#guard(async () => {
      await allowed;
      this.#file = await tryOutput('create', path, () => open(path, 'wx'));
    });
  }

  /** Queued bytes included. */
  get lengthBytes(): number {
    return this.#lengthBytes;
  }

  append(block: Buffer): void {
    this.#lengthBytes += block.length;
    this.#backlog.add(block.length);
    this.#blocks.push(block);
    if (this.#isDraining) return;
    this.#isDraining = true;
    this.#written = this.#written.then(() => this.#guard(() => this.#drain()));
  }

  /** Writes what is queued, syncs and closes. @throws MillraceError OUTPUT_FAILED */
  finish(): Promise<FinishedFile> {
    this.#finished ??= this.#finish();
    return this.#finished;
  }

  /** Closes and removes the file, as far as that is possible. */
  async discard(): Promise<void> {
    this.#failure ??= new Error('discarded');
    await this.#written;
    await this.#finished?.catch(() => undefined);
    await this.#close();
    await unlink(this.path).catch(() => undefined);
  }

  async #finish(): Promise<FinishedFile> {
    await this.#written;
    await this.#guard(() => tryOutput('sync', this.path, async () => this.#file?.sync()));
    // Also after a failure: an open file would keep its space.
    const closing = tryOutput('close', this.path, () => this.#close());
    await (this.#failure === undefined
      ? this.#guard(() => closing)
      : closing.catch(() => undefined));
    if (this.#failure !== undefined) throw this.#failure;
    return { path: this.path, lengthBytes: this.#lengthBytes, crc32: this.#crc32 };
  }

  async #drain(): Promise<void> {
    let block: Buffer | undefined;
    while ((block = this.#blocks.shift()) !== undefined) {
      const bytes = block;
      await tryOutput('write', this.path, () => this.#write(bytes));
      this.#crc32 = crc32(bytes, this.#crc32);
      this.#backlog.remove(bytes.length);
      if (this.#failure !== undefined) break;
    }
    this.#isDraining = false;
  }

  async #write(bytes: Buffer): Promise<void> {
    let offset = 0;
    while (offset < bytes.length && this.#file !== undefined) {
      offset += (await this.#file.write(bytes, offset)).bytesWritten;
    }
  }

  async #close(): Promise<void> {
    const file = this.#file;
    this.#file = undefined;
    await file?.close();
  }

  /** Does `step` unless something has failed before. */
  async #guard(step: () => Promise<void>): Promise<void> {
    if (this.#failure !== undefined) return;
    try {
      await step();
    } catch (error) {
      this.#failure = toMillraceError(error, 'OUTPUT_FAILED');
      this.#backlog.fail(this.#failure);
    }
  }
}
