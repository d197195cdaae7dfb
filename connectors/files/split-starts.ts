/**
 * Shows the starts of a reader's splits to their watermarks: file reader -> split starts -> split
 * start. Splits are read one after another, and one that waits may bring earlier records than the one
 * that is being read, so all are looked at first. Nothing may be read in earnest before that is done.
 */
import type { SourceOutput } from '../../api/source.js';
import type { FileSplit } from './file-split.js';
import type { SplitReaderOptions } from './split-reader.js';
import { SplitStart } from './split-start.js';

/** Looked at together, since most of the time goes into waiting for the file system. */
const OPEN_MAX = 4;

export class SplitStarts<T> {
  readonly #options: SplitReaderOptions<T>;
  readonly #onSeen: (start: SplitStart<T>) => void;
  readonly #added: FileSplit[] = [];
  /** To be looked at, the next one last. */
  readonly #unseen: FileSplit[] = [];
  readonly #open = new Set<SplitStart<T>>();

  /** @param onSeen closes what is needed no more */
  constructor(options: SplitReaderOptions<T>, onSeen: (start: SplitStart<T>) => void) {
    this.#options = options;
    this.#onSeen = onSeen;
  }

  /** Whether every split that was added has been shown. */
  get isDone(): boolean {
    return this.#added.length === 0 && this.#unseen.length === 0 && this.#open.size === 0;
  }

  /** Whether `poll` will get further. */
  get isReady(): boolean {
    return this.#added.length > 0 || this.#firstReady() !== undefined;
  }

  /** A split that waits for its turn. */
  add(split: FileSplit): void {
    this.#added.push(split);
  }

  /**
   * Shows what is known by now.
   * @throws MillraceError why reading failed
   */
  poll(output: SourceOutput<T>): void {
    for (const split of this.#added.splice(0)) {
      output.selectSplit(split.id);
      output.pauseSplit();
      if (output.needsStart(split.id)) this.#unseen.unshift(split);
    }
    this.#openNext();
    for (let start = this.#firstReady(); start !== undefined; start = this.#firstReady()) {
      const records = start.poll();
      if (records === undefined) continue;
      this.#show(start.split, records, output);
      this.#open.delete(start);
      this.#onSeen(start);
      this.#openNext();
    }
  }

  close(): void {
    for (const start of this.#open) this.#onSeen(start);
    this.#open.clear();
    this.#added.length = 0;
    this.#unseen.length = 0;
  }

  #show(split: FileSplit, records: readonly T[], output: SourceOutput<T>): void {
    output.selectSplit(split.id);
    for (const record of records) output.observe(record);
    // Where nothing is yet, nothing waits: a followed file that stays empty is idle.
    if (records.length > 0) output.pauseSplit();
  }

  #openNext(): void {
    while (this.#open.size < OPEN_MAX) {
      const split = this.#unseen.pop();
      if (split === undefined) return;
      this.#open.add(new SplitStart(split, this.#options));
    }
  }

  #firstReady(): SplitStart<T> | undefined {
    for (const start of this.#open) if (start.isReady) return start;
    return undefined;
  }
}
