/**
 * Reads a file ahead of its consumer, in blocks of whole lines: file -> line block reader -> split
 * reader. At most two blocks are held. It must never hand out a line that is still being written,
 * nor pass over a file that changed under it.
 */
import type { Stats } from 'node:fs';
import { open, stat, type FileHandle } from 'node:fs/promises';
import { changedFile, errorCode, inputError } from './input-error.js';
import type { LineBlock } from './line-block.js';

export interface LineBlockOptions {
  readonly path: string;
  /** Where reading begins: the beginning of a line, unless `skipPartial`. */
  readonly position: number;
  /** Begin behind the first newline at or after `position`. */
  readonly skipPartial: boolean;
  /** Nothing is read once a line has begun at or after this byte. */
  readonly end: number;
  /** The file can't end before this byte: it went on when it was found, or was read up to there. */
  readonly sizeMin: number;
  /** Whether the file may grow: a last line without a newline is then left alone. */
  readonly follow: boolean;
  /** The inode that the path had when it was read before. */
  readonly inode?: number;
  readonly blockBytes: number;
  readonly lineBytesMax: number;
  /** Called whenever `take` may have something, or reading ended or failed. */
  readonly onProgress: () => void;
}

/** Blocks read ahead: one in use, one behind it. */
const BLOCKS_MAX = 2;
const NEWLINE = 10;
/** What is kept of a line that is too long: enough for a dead letter of 4,096 characters. */
const HEAD_BYTES = 16_384;

export class LineBlockReader {
  readonly #options: LineBlockOptions;
  readonly #blocks: LineBlock[] = [];
  /** Bytes behind the last whole line, and where they begin in the file. */
  #tail: Buffer = Buffer.alloc(0);
  #tailPosition: number;
  /** Where the next read begins. */
  #offset: number;
  #isSkipping: boolean;
  /** The head of a line that is too long, until its end is found. */
  #oversized: { readonly head: Buffer; readonly position: number } | undefined;
  #isAtEnd = false;
  #isRangeRead = false;
  #failure: Error | undefined;
  #closed = false;
  #reading: Promise<void> | undefined;
  #file: FileHandle | undefined;
  #inode: number | undefined;

  constructor(options: LineBlockOptions) {
    this.#options = options;
    this.#offset = options.position;
    this.#tailPosition = options.position;
    this.#isSkipping = options.skipPartial;
    this.#inode = options.inode;
    this.#read();
  }

  /** The inode that was read; undefined until the file is open. */
  get inode(): number | undefined {
    return this.#inode;
  }

  /** Bytes of the file that were looked at. */
  get offset(): number {
    return this.#offset;
  }

  /** The next block, if it is there. @throws MillraceError why reading failed */
  take(): LineBlock | undefined {
    if (this.#failure !== undefined) throw this.#failure;
    const block = this.#blocks.shift();
    if (block !== undefined) this.#read();
    return block;
  }

  /** Whether `take`, or looking at `isAtEnd`, will give something now. */
  get isReady(): boolean {
    return this.#blocks.length > 0 || this.#isAtEnd || this.#failure !== undefined;
  }

  /** All blocks were taken: the range is read, or the file has no more for now. */
  get isAtEnd(): boolean {
    return this.#isAtEnd && this.#blocks.length === 0;
  }

  /** All lines of the range were found, however much the file grows. */
  get isRangeRead(): boolean {
    return this.#isRangeRead;
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#blocks.length = 0;
    await this.#reading;
    const file = this.#file;
    this.#file = undefined;
    await file?.close();
  }

  #read(): void {
    const isDone = this.#isAtEnd || this.#closed || this.#failure !== undefined;
    if (isDone || this.#reading !== undefined || this.#blocks.length >= BLOCKS_MAX) return;
    this.#reading = this.#readAhead()
      .catch((error: unknown) => {
        this.#failure = inputError(this.#options.path, error);
      })
      .finally(() => {
        this.#reading = undefined;
        this.#options.onProgress();
        // A block may have been taken since the last look at the queue.
        this.#read();
      });
  }

  async #readAhead(): Promise<void> {
    const { blockBytes } = this.#options;
    this.#file ??= await this.#open();
    while (this.#blocks.length < BLOCKS_MAX && !this.#isAtEnd && !this.#closed) {
      const buffer = Buffer.allocUnsafeSlow(blockBytes);
      const { bytesRead } = await this.#file.read(buffer, 0, blockBytes, this.#offset);
      this.#offset += bytesRead;
      await this.#checkUnchanged();
      if (bytesRead === 0) this.#endOfFile();
      else this.#cut(buffer.subarray(0, bytesRead));
      if (this.#blocks.length > 0) this.#options.onProgress();
    }
  }

  async #open(): Promise<FileHandle> {
    const file = await open(this.#options.path, 'r');
    const stats = await file.stat();
    this.#inode ??= stats.ino;
    try {
      this.#check(stats);
    } catch (error) {
      await file.close();
      throw error;
    }
    return file;
  }

  /** The path must still lead to the file that is read, and that must hold all that was read. */
  async #checkUnchanged(): Promise<void> {
    const { path } = this.#options;
    let stats;
    try {
      stats = await stat(path);
    } catch (error) {
      if (errorCode(error) === 'ENOENT') throw changedFile(path, this.#offset, 'was removed');
      throw error;
    }
    this.#check(stats);
  }

  #check({ ino, size }: Stats): void {
    const { path, sizeMin } = this.#options;
    if (ino !== this.#inode) throw changedFile(path, this.#offset, 'was replaced');
    const known = Math.max(sizeMin, this.#offset);
    if (size >= known) return;
    const shrank = `shrank from ${String(known)} bytes to ${String(size)}`;
    throw changedFile(path, this.#offset, shrank);
  }

  /** Adds what was read to the tail and hands out the whole lines of it. */
  #cut(read: Buffer): void {
    let bytes = read;
    if (this.#isSkipping || this.#oversized !== undefined) {
      const newline = bytes.indexOf(NEWLINE);
      if (newline < 0) {
        this.#tailPosition = this.#offset;
        // No line can begin in the range any more.
        if (this.#oversized === undefined && this.#offset >= this.#options.end) this.#endOfRange();
        return;
      }
      bytes = bytes.subarray(newline + 1);
      this.#tailPosition = this.#offset - bytes.length;
      this.#endOversized(this.#tailPosition);
      this.#isSkipping = false;
    }
    if (this.#tail.length > 0) bytes = Buffer.concat([this.#tail, bytes]);
    const end = bytes.lastIndexOf(NEWLINE) + 1;
    this.#push(bytes.subarray(0, end));
    this.#tail = bytes.subarray(end);
    if (this.#tailPosition >= this.#options.end) this.#endOfRange();
    else if (this.#tail.length > this.#options.lineBytesMax) {
      const head = Buffer.from(this.#tail.subarray(0, HEAD_BYTES));
      this.#oversized = { head, position: this.#tailPosition };
      this.#tail = Buffer.alloc(0);
    }
  }

  #endOfRange(): void {
    this.#isRangeRead = true;
    this.#isAtEnd = true;
  }

  #endOfFile(): void {
    this.#isAtEnd = true;
    if (this.#options.follow) return;
    this.#endOversized(this.#offset);
    this.#push(this.#tail);
    this.#tail = Buffer.alloc(0);
  }

  #push(bytes: Buffer): void {
    if (bytes.length === 0) return;
    this.#blocks.push({ bytes, position: this.#tailPosition });
    this.#tailPosition += bytes.length;
  }

  #endOversized(end: number): void {
    if (this.#oversized === undefined) return;
    const { head, position } = this.#oversized;
    this.#oversized = undefined;
    this.#blocks.push({ bytes: head, position, oversizedEnd: end });
  }
}
