/**
 * Reads one split: line block reader -> lines -> decoder -> source output. Lines that hold no record
 * become dead letters. It must never count a line as read before it was handed out.
 */
import { resolve } from 'node:path';
import type { SourceOutput } from '../../api/source.js';
import { MillraceError } from '../../core/errors.js';
import { FormatError } from '../formats/format.js';
import type { LineDecoder } from './file-format.js';
import type { FileSplit } from './file-split.js';
import { LineBlockReader } from './line-block-reader.js';
import { LineCursor, type LineBlock } from './line-block.js';

export interface SplitReaderOptions<T> {
  readonly follow: boolean;
  readonly blockBytes: number;
  readonly lineBytesMax: number;
  readonly hasHeader: boolean;
  /** @throws FormatError */
  readonly decoderFor: (header: string | undefined) => LineDecoder<T>;
  readonly onProgress: () => void;
}

/** Where the lines of a split go. */
export type LineOutput<T> = Pick<SourceOutput<T>, 'collect' | 'deadLetter'>;

const RAW_LENGTH_MAX = 4_096;

export class SplitReader<T> {
  readonly split: FileSplit;
  readonly #options: SplitReaderOptions<T>;
  readonly #inode: number | undefined;
  /** Reads the first line of the file, where that names the columns. */
  #headerBlocks: LineBlockReader | undefined;
  #blocks: LineBlockReader | undefined;
  #decoder: LineDecoder<T> | undefined;
  #cursor: LineCursor | undefined;
  #position: number;
  #isRangeRead = false;
  #closing: Promise<void> = Promise.resolve();

  /** @param inode what the split's path led to when it was read before, by this reader */
  constructor(split: FileSplit, options: SplitReaderOptions<T>, inode: number | undefined) {
    this.split = split;
    this.#options = options;
    this.#inode = inode;
    this.#position = split.position;
    if (options.hasHeader) {
      this.#headerBlocks = this.#readBlocks({
        position: 0,
        skipPartial: false,
        end: 1,
        sizeMin: split.sizeBytes,
      });
    } else {
      this.#decoder = options.decoderFor(undefined);
      this.#blocks = this.#readRange();
    }
  }

  /** First byte behind the last line that was handed out; the split's start while none was. */
  get position(): number {
    return this.#position;
  }

  get inode(): number | undefined {
    return this.#blocks?.inode ?? this.#headerBlocks?.inode;
  }

  /** Bytes of the file that were looked at. */
  get offset(): number {
    return (this.#blocks ?? this.#headerBlocks)?.offset ?? 0;
  }

  /** Every line of the split was handed out. */
  get isFinished(): boolean {
    if (this.#isRangeRead) return true;
    return this.isAtEnd && (!this.#options.follow || this.#blocks?.isRangeRead === true);
  }

  /** Nothing is left to hand out unless the file grows. */
  get isAtEnd(): boolean {
    if (this.#headerBlocks !== undefined) return this.#headerBlocks.isAtEnd;
    return this.#cursor === undefined && this.#blocks?.isAtEnd === true;
  }

  get isReady(): boolean {
    return this.#cursor !== undefined || (this.#blocks ?? this.#headerBlocks)?.isReady === true;
  }

  /** Hands out at most `linesMax` lines, as many as are there; returns how many. */
  poll(output: LineOutput<T>, linesMax: number): number {
    this.#takeHeader();
    let lines = 0;
    while (lines < linesMax && !this.#isRangeRead) {
      this.#cursor ??= this.#nextCursor(output);
      if (this.#cursor === undefined) break;
      if (!this.#cursor.advance()) this.#cursor = undefined;
      else if (this.#cursor.position >= this.split.end) this.#isRangeRead = true;
      else {
        this.#emit(this.#cursor, output);
        lines++;
      }
    }
    // The reader stops by itself once a line has begun behind the range.
    if (this.#position >= this.split.end) this.#isRangeRead = true;
    return lines;
  }

  async close(): Promise<void> {
    await this.#headerBlocks?.close();
    await this.#blocks?.close();
    await this.#closing;
  }

  #readRange(): LineBlockReader {
    const { position, start, end, sizeBytes } = this.split;
    const sizeMin = Math.max(position, sizeBytes);
    if (position > start || start === 0) {
      return this.#readBlocks({ position, skipPartial: false, end, sizeMin });
    }
    // From the byte before, because a line begins at a byte exactly when a newline stands before it.
    return this.#readBlocks({ position: start - 1, skipPartial: true, end, sizeMin });
  }

  #readBlocks(range: {
    position: number;
    skipPartial: boolean;
    end: number;
    sizeMin: number;
  }): LineBlockReader {
    const { follow, blockBytes, lineBytesMax, onProgress } = this.#options;
    return new LineBlockReader({
      ...range,
      path: this.split.path,
      follow,
      blockBytes,
      lineBytesMax,
      onProgress,
      ...(this.#inode === undefined ? {} : { inode: this.#inode }),
    });
  }

  /** Once the first line is there, learns the columns from it and begins with the range. */
  #takeHeader(): void {
    const headerBlocks = this.#headerBlocks;
    const block = headerBlocks?.take();
    if (headerBlocks === undefined || block === undefined) return;
    const cursor = new LineCursor(block);
    cursor.advance();
    try {
      if (block.oversizedEnd !== undefined) throw new FormatError('the header is too long');
      this.#decoder = this.#options.decoderFor(cursor.line);
    } catch (error) {
      if (!(error instanceof FormatError)) throw error;
      throw new MillraceError(
        'INPUT_INVALID',
        `${resolve(this.split.path)}: ${error.message}; correct its first line, or the schema`,
      );
    }
    this.#headerBlocks = undefined;
    this.#blocks = this.#readRange();
    this.#closing = headerBlocks.close();
  }

  #nextCursor(output: LineOutput<T>): LineCursor | undefined {
    const block = this.#blocks?.take();
    if (block === undefined) return undefined;
    if (block.oversizedEnd === undefined) return new LineCursor(block);
    this.#emitOversized(block, block.oversizedEnd, output);
    return this.#nextCursor(output);
  }

  #emit(cursor: LineCursor, output: LineOutput<T>): void {
    const { line, position } = cursor;
    this.#position = cursor.nextPosition;
    if (line === '' || (position === 0 && this.#options.hasHeader)) return;
    let record: T;
    try {
      record = this.#decode(cursor);
    } catch (error) {
      if (!(error instanceof FormatError)) throw error;
      this.#deadLetter(position, error.message, line, output);
      return;
    }
    output.collect(record);
  }

  #decode(cursor: LineCursor): T {
    if (cursor.byteLength > this.#options.lineBytesMax) throw new FormatError(this.#tooLong());
    if (!cursor.isValidText()) throw new FormatError('not UTF-8');
    if (this.#decoder === undefined) throw new FormatError('the columns are not known');
    return this.#decoder.decode(cursor.line);
  }

  #emitOversized(block: LineBlock, end: number, output: LineOutput<T>): void {
    this.#position = end;
    this.#deadLetter(block.position, this.#tooLong(), block.bytes.toString('utf8'), output);
  }

  #deadLetter(position: number, reason: string, raw: string, output: LineOutput<T>): void {
    output.deadLetter({
      origin: this.split.path,
      position,
      reason,
      raw: raw.slice(0, RAW_LENGTH_MAX),
    });
  }

  #tooLong(): string {
    return `longer than ${String(this.#options.lineBytesMax)} bytes`;
  }
}
