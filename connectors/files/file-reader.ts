/**
 * The reader of a subtask's file splits: one at a time, files by name and each from its beginning,
 * once the starts of all of them were looked at; a followed file that has no more for now waits aside
 * until it grows. Reading runs ahead in the background; `poll` only decodes what is there.
 */
import type { PollResult, SourceContext, SourceOutput, SourceReader } from '../../api/source.js';
import { MillraceError } from '../../core/errors.js';
import { Availability } from '../availability.js';
import type { LineDecoder, ReadableFormat } from './file-format.js';
import { compareSplits, type FileSplit } from './file-split.js';
import { GrowthWatcher } from './growth-watcher.js';
import { SplitReader, type SplitReaderOptions } from './split-reader.js';
import { SplitStarts } from './split-starts.js';
import { START_WITHOUT_STATE } from '../without-state.js';

export interface FileReaderOptions<T> {
  readonly format: ReadableFormat<T>;
  readonly follow: boolean;
  readonly splitBytes: number;
  readonly blockBytes: number;
  readonly lineBytesMax: number;
  readonly pollIntervalMs: number;
  readonly clock: SourceContext['clock'];
}

export class FileReader<T> implements SourceReader<T, FileSplit> {
  readonly #options: FileReaderOptions<T>;
  readonly #splitOptions: SplitReaderOptions<T>;
  readonly #growth: GrowthWatcher;
  readonly #starts: SplitStarts<T>;
  /** Every split that was given, as it stands when it is not being read. */
  readonly #splits = new Map<string, FileSplit>();
  /** Splits to be read, the next one last. */
  readonly #pending: FileSplit[] = [];
  /** Splits that were finished before the restore; the output has yet to hear of them. */
  readonly #finishedBefore: FileSplit[] = [];
  /** Inodes of files that were looked into. */
  readonly #inodes = new Map<string, number>();
  readonly #closing = new Set<Promise<void>>();
  #active: SplitReader<T> | undefined;
  #unfinished = 0;
  #noMoreSplits = false;
  #closed = false;
  readonly #availability = new Availability(() => this.#hasMore());
  #decoder: { readonly header: string | undefined; readonly decoder: LineDecoder<T> } | undefined;

  constructor(options: FileReaderOptions<T>) {
    const { format, follow, blockBytes, lineBytesMax } = options;
    this.#options = options;
    this.#growth = new GrowthWatcher(options.clock, options.pollIntervalMs);
    this.#splitOptions = {
      follow,
      blockBytes,
      lineBytesMax,
      hasHeader: format.hasHeader,
      decoderFor: (header) => this.#decoderFor(header),
      onProgress: () => this.#availability.changed(),
    };
    this.#starts = new SplitStarts(this.#splitOptions, (start) => this.#close(start.split, start));
  }

  addSplits(splits: readonly FileSplit[]): void {
    for (const given of splits) {
      this.#checkRange(given);
      // A file that was read to its end once may be followed from there on.
      const mayGrow = this.#options.follow && given.position < given.end;
      const split = mayGrow ? { ...given, finished: false } : given;
      this.#splits.set(split.id, split);
      if (split.finished) {
        this.#finishedBefore.push(split);
      } else {
        this.#unfinished++;
        this.#pending.push(split);
        this.#starts.add(split);
      }
    }
    this.#pending.sort((left, right) => compareSplits(right, left));
    this.#availability.changed();
  }

  noMoreSplits(): void {
    this.#noMoreSplits = true;
    this.#availability.changed();
  }

  poll(output: SourceOutput<T>, recordsMax: number): PollResult {
    this.#availability.check();
    for (const { id } of this.#finishedBefore.splice(0)) {
      output.selectSplit(id);
      output.finishSplit();
    }
    this.#starts.poll(output);
    if (!this.#starts.isDone) return 'wait';
    let left = recordsMax;
    while (left > 0) {
      const active = (this.#active ??= this.#activate());
      if (active === undefined) return this.#isAtEnd() ? 'end' : 'wait';
      if (!active.isReady) return 'wait';
      output.selectSplit(active.split.id);
      left -= active.poll(output, left);
      if (active.isFinished) {
        this.#leave(active, true);
        output.finishSplit();
      } else if (active.isAtEnd) {
        this.#park(active);
      }
    }
    return 'more';
  }

  available(): Promise<void> {
    return this.#availability.wait();
  }

  snapshot(): readonly FileSplit[] {
    const active = this.#active;
    return [...this.#splits.values()].map((split) =>
      split.id === active?.split.id ? { ...split, position: active.position } : split,
    );
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#growth.close();
    this.#starts.close();
    if (this.#active !== undefined) this.#close(this.#active.split, this.#active);
    this.#active = undefined;
    this.#availability.changed();
    await Promise.all(this.#closing);
  }

  #hasMore(): boolean {
    if (this.#closed || this.#finishedBefore.length > 0) return true;
    if (!this.#starts.isDone) return this.#starts.isReady;
    if (this.#active !== undefined) return this.#active.isReady;
    return this.#pending.length > 0 || this.#isAtEnd();
  }

  #isAtEnd(): boolean {
    return this.#noMoreSplits && !this.#options.follow && this.#unfinished === 0;
  }

  #activate(): SplitReader<T> | undefined {
    const split = this.#pending.pop();
    if (split === undefined) return undefined;
    return new SplitReader(split, this.#splitOptions, this.#inodes.get(split.path));
  }

  /** Sets a split of a followed file aside until the file grows. */
  #park(active: SplitReader<T>): void {
    const { id, path } = active.split;
    const sizeBytes = active.offset;
    this.#leave(active, false);
    this.#growth.watch(path, sizeBytes, () => {
      const split = this.#splits.get(id);
      if (split !== undefined) this.#pending.push(split);
      this.#pending.sort((left, right) => compareSplits(right, left));
      this.#availability.changed();
    });
  }

  #leave(active: SplitReader<T>, finished: boolean): void {
    this.#splits.set(active.split.id, { ...active.split, position: active.position, finished });
    if (finished) this.#unfinished--;
    this.#active = undefined;
    this.#close(active.split, active);
  }

  #close({ path }: FileSplit, reader: Pick<SplitReader<T>, 'inode' | 'close'>): void {
    if (reader.inode !== undefined) this.#inodes.set(path, reader.inode);
    const closing = reader
      .close()
      .catch((error: unknown) => {
        this.#availability.fail(error, 'INPUT_INVALID');
      })
      .finally(() => this.#closing.delete(closing));
    this.#closing.add(closing);
  }

  /** Splits of one file have one header as a rule, and a decoder is costly to make. */
  #decoderFor(header: string | undefined): LineDecoder<T> {
    if (this.#decoder === undefined || this.#decoder.header !== header) {
      this.#decoder = { header, decoder: this.#options.format.createDecoder(header) };
    }
    return this.#decoder.decoder;
  }

  #checkRange(split: FileSplit): void {
    const bytes = split.end - split.start;
    if (bytes === this.#options.splitBytes) return;
    throw new MillraceError(
      'INPUT_INVALID',
      `the state of ${split.path} was made with splits of ${String(bytes)} bytes, the job has ` +
        `${String(this.#options.splitBytes)}; set splitBytes to ${String(bytes)}, ` +
        `or ${START_WITHOUT_STATE}`,
    );
  }
}
