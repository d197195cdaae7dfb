/**
 * Finds out where in event time a split starts, before its turn to be read: split starts -> split
 * start -> split reader. What it reads is only looked at; it must never count as read.
 */
import type { FileSplit } from './file-split.js';
import { SplitReader, type LineOutput, type SplitReaderOptions } from './split-reader.js';

/** How much of the input before a split is shown to its watermark; without any, so much of the split itself is searched. */
export const START_BYTES = 65_536;
/** One read is enough, unless the last line is long. */
const BLOCK_BYTES = START_BYTES + 4_096;

export class SplitStart<T> implements LineOutput<T> {
  readonly split: FileSplit;
  readonly #options: SplitReaderOptions<T>;
  readonly #records: T[] = [];
  #reader: SplitReader<T>;
  /** Whether it is at the split itself, not before it. */
  #isInside: boolean;
  #closing: Promise<void> = Promise.resolve();

  constructor(split: FileSplit, options: SplitReaderOptions<T>) {
    this.split = split;
    this.#options = { ...options, blockBytes: BLOCK_BYTES };
    this.#isInside = split.start === 0;
    this.#reader = this.#isInside
      ? this.#read(0, Math.min(START_BYTES, split.end))
      : this.#read(Math.max(0, split.start - START_BYTES), split.start);
  }

  /** Whether `poll` will get further. */
  get isReady(): boolean {
    return this.#reader.isReady;
  }

  get inode(): number | undefined {
    return this.#reader.inode;
  }

  /**
   * Those that begin in the 64 KiB before the split, or else the first one that begins in its own first
   * 64 KiB: nothing is late because of that, as it is on time itself.
   * @returns undefined: not known yet
   * @throws MillraceError why reading failed
   */
  poll(): readonly T[] | undefined {
    while (this.#reader.isReady) {
      this.#reader.poll(this, this.#isInside ? 1 : Infinity);
      if (this.#isInside && this.#records.length > 0) return this.#records;
      if (!this.#reader.isFinished && !this.#reader.isAtEnd) continue;
      if (this.#isInside || this.#records.length > 0) return this.#records;
      this.#goInside();
    }
    return undefined;
  }

  collect(record: T): void {
    this.#records.push(record);
  }

  deadLetter(): void {
    // Told of when the line is read in its turn.
  }

  async close(): Promise<void> {
    await this.#reader.close();
    await this.#closing;
  }

  #goInside(): void {
    const { start, end } = this.split;
    this.#closing = this.#reader.close();
    this.#reader = this.#read(start, Math.min(start + START_BYTES, end));
    this.#isInside = true;
  }

  /** @param start of the lines to look at, `end` behind them */
  #read(start: number, end: number): SplitReader<T> {
    const range = { ...this.split, start, end, position: start };
    return new SplitReader(range, this.#options, undefined);
  }
}
