/**
 * The reader of a generator's splits. It takes its splits in turns of a few records, so that their
 * watermarks stay close together, and holds each back until its next record is due. It must never
 * allocate per record anything but the record.
 */
import type { PollResult, SourceContext, SourceOutput, SourceReader } from '../../api/source.js';
import { MillraceError } from '../../core/errors.js';
import type { GeneratorSplit } from './generator-split.js';
import { START_WITHOUT_STATE } from '../without-state.js';

export interface GeneratorReaderOptions {
  /** Indices below it are generated; Infinity without end. */
  readonly count: number;
  /** Records per second over all splits of the source; Infinity without pace. */
  readonly ratePerSecond: number;
  readonly stride: number;
  readonly clock: SourceContext['clock'];
}

/** Records of one split before the next split's turn: few enough to keep splits close in event time. */
const TURN_RECORDS = 64;

interface ActiveSplit {
  readonly split: GeneratorSplit;
  next: number;
  /** Index and monotonic time from which due times are counted. */
  readonly originIndex: number;
  readonly originMs: number;
  finished: boolean;
}

export class GeneratorReader<T> implements SourceReader<T, GeneratorSplit> {
  readonly #generate: (index: number) => T;
  readonly #options: GeneratorReaderOptions;
  readonly #splits: ActiveSplit[] = [];
  #turn = 0;
  #noMoreSplits = false;
  #closed = false;
  /** Wakes whoever waits in `available`, and cancels its timer. */
  #wake: (() => void) | undefined;

  constructor(generate: (index: number) => T, options: GeneratorReaderOptions) {
    this.#generate = generate;
    this.#options = options;
  }

  addSplits(splits: readonly GeneratorSplit[]): void {
    const { stride, clock } = this.#options;
    for (const split of splits) {
      if (split.stride !== stride) {
        throw new MillraceError(
          'INPUT_INVALID',
          `the generator's state was made with ${String(split.stride)} splits, the job has ` +
            `${String(stride)}; set splits to ${String(split.stride)}, or ${START_WITHOUT_STATE}`,
        );
      }
      this.#splits.push({
        split,
        next: split.next,
        // The same for splits that stand level, so that their records alternate.
        originIndex: Math.floor(split.next / stride) * stride,
        originMs: clock.monotonic(),
        finished: false,
      });
    }
    this.#wake?.();
  }

  noMoreSplits(): void {
    this.#noMoreSplits = true;
    this.#wake?.();
  }

  poll(output: SourceOutput<T>, recordsMax: number): PollResult {
    const nowMs = this.#options.clock.monotonic();
    let left = recordsMax;
    let idleTurns = 0;
    while (left > 0 && idleTurns < this.#splits.length) {
      this.#turn = this.#turn + 1 < this.#splits.length ? this.#turn + 1 : 0;
      const active = this.#splits[this.#turn];
      if (active === undefined) break;
      const emitted = this.#emitTurn(active, output, Math.min(left, TURN_RECORDS), nowMs);
      left -= emitted;
      idleTurns = emitted === 0 ? idleTurns + 1 : 0;
    }
    if (this.#isAtEnd()) return 'end';
    return left === 0 ? 'more' : 'wait';
  }

  available(): Promise<void> {
    const { clock } = this.#options;
    const delayMs = this.#nextDueMs() - clock.monotonic();
    if (delayMs <= 0 || this.#closed || this.#isAtEnd()) return Promise.resolve();
    return new Promise((resolve) => {
      const previous = this.#wake;
      const cancel = Number.isFinite(delayMs)
        ? clock.setTimer(delayMs, () => this.#wake?.())
        : undefined;
      this.#wake = () => {
        this.#wake = undefined;
        cancel?.();
        previous?.();
        resolve();
      };
    });
  }

  snapshot(): readonly GeneratorSplit[] {
    return this.#splits.map(({ split, next }) => ({ ...split, next }));
  }

  close(): Promise<void> {
    this.#closed = true;
    this.#wake?.();
    return Promise.resolve();
  }

  /** Emits what is due of one split; returns how many records that were. */
  #emitTurn(
    active: ActiveSplit,
    output: SourceOutput<T>,
    recordsMax: number,
    nowMs: number,
  ): number {
    if (active.finished) return 0;
    const { count, ratePerSecond, stride } = this.#options;
    const nextIsDue = dueMs(active, ratePerSecond) <= nowMs ? active.next + 1 : 0;
    // The first index that is not due yet.
    const undue =
      ratePerSecond === Infinity
        ? count
        : Math.max(
            active.originIndex + ((nowMs - active.originMs) * ratePerSecond) / 1000,
            nextIsDue,
          );
    const end = Math.min(count, undue, active.next + recordsMax * stride);
    const start = active.next;
    if (start >= end && start < count) return 0;
    output.selectSplit(active.split.id);
    let next = start;
    while (next < end) {
      const record = this.#generate(next);
      next += stride;
      // Moved first: a snapshot taken below `collect` counts the record as emitted.
      active.next = next;
      output.collect(record);
    }
    if (next >= count) {
      active.finished = true;
      output.finishSplit();
    }
    return (next - start) / stride;
  }

  #isAtEnd(): boolean {
    return this.#noMoreSplits && this.#splits.every((active) => active.finished);
  }

  /** When the next record of any split is due, on the monotonic clock; Infinity when none ever is. */
  #nextDueMs(): number {
    const { ratePerSecond } = this.#options;
    let earliestMs = Infinity;
    for (const active of this.#splits) {
      if (!active.finished) earliestMs = Math.min(earliestMs, dueMs(active, ratePerSecond));
    }
    return earliestMs;
  }
}

/** When the split's next record is due: an index counts from the split's origin at the common rate. */
function dueMs(active: ActiveSplit, ratePerSecond: number): number {
  if (ratePerSecond === Infinity) return active.originMs;
  return active.originMs + ((active.next - active.originIndex) * 1000) / ratePerSecond;
}
