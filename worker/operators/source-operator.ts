/**
 * The source operator: drives a connector's reader, takes event time from its records, and keeps the
 * positions for checkpoints (journey of a record: source reader -> source operator -> operator
 * chain). Splits are assigned by `ordinal % parallelism`, so every subtask decides alone and alike.
 */
import type {
  DeadLetter,
  PollResult,
  Source,
  SourceContext,
  SourceOutput,
  SourceReader,
  SourceSplit,
} from '../../api/source.js';
import type { WatermarkStrategy } from '../../api/watermarks.js';
import { MillraceError } from '../../core/errors.js';
import { MAX_WATERMARK } from '../../core/watermark.js';
import { DEAD_LETTERS_OUTPUT } from '../../core/stream-graph.js';
import { AbstractStreamOperator } from './abstract-stream-operator.js';
import type { SplitState } from './operator-state.js';
import type { OperatorOutput, OperatorSnapshot } from './operator.js';
import { SplitWatermarks } from './split-watermarks.js';
import { userCodeError } from './user-code.js';

/** Records emitted in one turn of the task: as many as a chunk holds. */
const BATCH_RECORDS = 256;

export interface SourceOperatorOptions {
  readonly name: string;
  readonly source: Source<unknown>;
  readonly watermarks: WatermarkStrategy<unknown> | undefined;
  readonly watermarkIntervalMs: number;
  readonly context: SourceContext;
  readonly output: OperatorOutput;
  /** Whether an operator reads this one's dead letters. */
  readonly takesDeadLetters: boolean;
  /** Splits of all subtasks in the restored checkpoint; undefined: not restored. */
  readonly restored: readonly SplitState[] | undefined;
  /** Asks for a turn of the task. */
  readonly wake: () => void;
  /** Fails the task: something asynchronous went wrong. */
  readonly fail: (error: unknown) => void;
}

export class SourceOperator extends AbstractStreamOperator {
  readonly #options: SourceOperatorOptions;
  readonly #reader: SourceReader<unknown>;
  readonly #output: ReaderOutput;
  readonly #known = new Set<string>();
  /** Splits of this subtask, finished ones included. */
  #assigned = 0;
  readonly #watermarks: SplitWatermarks;
  #state: 'reading' | 'waiting' | 'ended' = 'reading';
  #lastWatermark = -Infinity;
  #lastWatermarkMs = -Infinity;
  #lastPollMs: number;
  #idle = false;
  #cancelDiscovery: (() => void) | undefined;
  #closed = false;

  constructor(options: SourceOperatorOptions) {
    super(options.name);
    this.#options = options;
    this.#reader = options.source.createReader(options.context);
    this.#lastPollMs = options.context.clock.monotonic();
    this.#watermarks = new SplitWatermarks({
      maxOutOfOrdernessMs: options.watermarks?.maxOutOfOrdernessMs ?? 0,
      // Whatever a bounded split has not given yet will come.
      idleTimeoutMs: options.source.bounded ? undefined : options.watermarks?.idleTimeoutMs,
      monotonic: () => options.context.clock.monotonic(),
    });
    this.#output = new ReaderOutput(options, this.#watermarks);
  }

  /** The last watermark emitted; -Infinity before the first. */
  get watermark(): number {
    return this.#lastWatermark;
  }

  override async open(): Promise<void> {
    const { restored = [], source } = this.#options;
    let least = Infinity;
    for (const { split, maxTimestamp, watermark } of restored) {
      this.#known.add(split.id);
      if (!this.#isMine(split)) continue;
      least = Math.min(least, watermark);
      this.#watermarks.add(split.id, maxTimestamp);
      this.#assigned++;
      this.#reader.addSplits([split]);
    }
    // A finished source restarts at its last watermark, which it will emit again by itself.
    if (least < MAX_WATERMARK) this.#watermarks.restoreWatermark(least);
    // A source that came into the job with this restore has no splits there, and begins as any other.
    await this.#discover(restored.length === 0);
    if (source.bounded) this.#reader.noMoreSplits();
  }

  /** Emits what the reader has, at most one batch. */
  poll(): PollResult {
    if (this.#state === 'ended') return 'end';
    if (this.#state === 'waiting') return 'wait';
    const result = this.#reader.poll(this.#output, BATCH_RECORDS);
    this.#lastPollMs = this.#options.context.clock.monotonic();
    this.#watermarks.touch();
    this.#emitWatermark(result === 'end');
    if (result === 'wait') this.#wait();
    else if (result === 'end') this.#state = 'ended';
    return result;
  }

  processWatermark(): void {
    // A source makes its own.
  }

  processWatermarkStatus(): void {
    // A source makes its own.
  }

  override snapshot(checkpointId: number): OperatorSnapshot {
    const entries = this.#reader.snapshot(checkpointId).map((split): SplitState => ({
      split,
      maxTimestamp: this.#watermarks.maxTimestampOf(split.id),
      watermark: Math.max(this.#lastWatermark, this.#watermarks.current),
    }));
    return { operator: { entries } };
  }

  override notifyCheckpointComplete(checkpointId: number): Promise<void> {
    this.#reader.notifyCheckpointComplete?.(checkpointId);
    return Promise.resolve();
  }

  /** Watermarks also advance, and splits turn idle, while nothing arrives. */
  override advanceProcessingTime(now: number): number | undefined {
    if (this.#state === 'ended' || this.#options.watermarks === undefined) return undefined;
    this.#emitWatermark(false);
    return now + this.#options.watermarkIntervalMs;
  }

  override async close(): Promise<void> {
    this.#closed = true;
    this.#cancelDiscovery?.();
    await this.#reader.close();
  }

  #isMine(split: SourceSplit): boolean {
    const { subtask, parallelism } = this.#options.context;
    return split.ordinal % parallelism === subtask;
  }

  async #discover(isFirst: boolean): Promise<void> {
    const { source, context } = this.#options;
    const found = await source.discoverSplits(context, isFirst ? undefined : this.#known);
    if (this.#closed) return;
    const added = found.filter((split) => !this.#known.has(split.id));
    for (const split of added) {
      if (!Number.isInteger(split.ordinal) || split.ordinal < 0) {
        throw new MillraceError(
          'INTERNAL',
          `source "${this.name}" gave split "${split.id}" the ordinal ${split.ordinal}; its connector must count from 0`,
        );
      }
      this.#known.add(split.id);
    }
    const mine = added.filter((split) => this.#isMine(split));
    this.#assigned += mine.length;
    if (mine.length > 0) {
      for (const { id } of mine) this.#watermarks.add(id);
      this.#reader.addSplits(mine);
      if (this.#state === 'waiting') this.#resume();
    }
    if (source.discoveryIntervalMs !== undefined) {
      this.#cancelDiscovery = context.clock.setTimer(source.discoveryIntervalMs, () => {
        this.#discover(false).catch(this.#options.fail);
      });
    }
  }

  #wait(): void {
    this.#state = 'waiting';
    this.#reader.available().then(() => this.#resume(), this.#options.fail);
  }

  #resume(): void {
    if (this.#state !== 'waiting' || this.#closed) return;
    this.#state = 'reading';
    this.#options.wake();
  }

  #emitWatermark(ended: boolean): void {
    const { output, watermarks, watermarkIntervalMs, context } = this.#options;
    if (ended) {
      this.#lastWatermark = MAX_WATERMARK;
      output.emitWatermark(MAX_WATERMARK);
      return;
    }
    if (watermarks === undefined) return;
    const now = context.clock.monotonic();
    if (now - this.#lastWatermarkMs < watermarkIntervalMs) return;
    this.#lastWatermarkMs = now;
    // A reader that was not asked (its consumers are full) has not been silent.
    const silentUntilMs = this.#state === 'waiting' ? now : this.#lastPollMs;
    const { watermark, idle: silent } = this.#watermarks.advance(silentUntilMs);
    // A job with more subtasks than splits must not stand still for those that have none.
    const idle = silent || this.#assigned === 0;
    if (watermark > this.#lastWatermark) {
      this.#lastWatermark = watermark;
      output.emitWatermark(watermark);
    }
    if (idle !== this.#idle) {
      this.#idle = idle;
      output.emitWatermarkStatus(idle);
    }
  }
}

/** What the reader writes into: adds event time and sends late records and dead letters their own way. */
class ReaderOutput implements SourceOutput<unknown> {
  readonly takesDeadLetters: boolean;
  readonly #name: string;
  readonly #output: OperatorOutput;
  readonly #timestamp: ((record: unknown) => number) | undefined;
  readonly #watermarks: SplitWatermarks;

  constructor(options: SourceOperatorOptions, watermarks: SplitWatermarks) {
    this.#name = options.name;
    this.#output = options.output;
    this.takesDeadLetters = options.takesDeadLetters;
    this.#timestamp = options.watermarks?.timestamp;
    this.#watermarks = watermarks;
  }

  selectSplit(splitId: string): void {
    this.#watermarks.select(splitId);
  }

  collect(record: unknown): void {
    if (this.#timestamp === undefined) {
      this.#output.collect(record, -Infinity);
      return;
    }
    const timestamp = this.#eventTime(record);
    if (this.#watermarks.observe(timestamp)) this.#output.sideOutput('late', record, timestamp);
    else this.#output.collect(record, timestamp);
  }

  deadLetter(letter: DeadLetter): void {
    this.#output.sideOutput(DEAD_LETTERS_OUTPUT, letter, -Infinity);
  }

  needsStart(splitId: string): boolean {
    return this.#timestamp !== undefined && this.#watermarks.maxTimestampOf(splitId) === -Infinity;
  }

  observe(record: unknown): void {
    if (this.#timestamp !== undefined) this.#watermarks.observe(this.#eventTime(record));
  }

  pauseSplit(): void {
    this.#watermarks.pause();
  }

  finishSplit(): void {
    this.#watermarks.finish();
  }

  #eventTime(record: unknown): number {
    let timestamp: unknown;
    try {
      timestamp = this.#timestamp?.(record);
    } catch (error) {
      throw userCodeError(error, this.#name, 'timestamp', record);
    }
    if (typeof timestamp === 'number' && Number.isFinite(timestamp)) return timestamp;
    throw userCodeError(
      new TypeError(`the timestamp function returned ${String(timestamp)}, not ms since the epoch`),
      this.#name,
      'timestamp',
      record,
    );
  }
}
