/**
 * The contract between a job and whatever it reads. A source is described where the job is built
 * and read in a worker's slot. A reader must never block the thread: it emits what it has and says
 * when to come back.
 */
import type { Schema } from '../core/schema.js';
import type { CheckpointConfig, RestartStrategyConfig } from '../core/stream-graph.js';
import type { MetricGroup } from './metrics.js';

/**
 * A part of the input with a position of its own. `id` is stable for the life of the job; the
 * subtask that reads it is `ordinal % parallelism`.
 */
export interface SourceSplit {
  readonly id: string;
  /** Whole number, 0 or more; splits of one input count upwards so that they spread evenly. */
  readonly ordinal: number;
}

/** A record that could not be decoded, on its way to the source's dead-letter output. */
export interface DeadLetter {
  /** What was read: file, topic-partition, URL. */
  readonly origin: string;
  /** Position within the origin, in the origin's own unit (bytes, offsets). */
  readonly position: number;
  readonly reason: string;
  /** The raw input, cut to 4,096 characters. */
  readonly raw: string;
}

/** Where a reader puts what it reads. All calls are synchronous and keep nothing of the caller's. */
export interface SourceOutput<T> {
  /** What follows comes from this split: its watermark is kept apart from the others'. */
  selectSplit(splitId: string): void;
  collect(record: T): void;
  /** Whether the job takes what is given to `deadLetter` anywhere; else it is counted, and gone. */
  readonly takesDeadLetters: boolean;
  deadLetter(letter: DeadLetter): void;
  /**
   * Whether the split's watermark has yet to see a record, so that there is something to `observe`:
   * false where nobody asks for event time, and where a restore brought the watermark back.
   */
  needsStart(splitId: string): boolean;
  /**
   * Counts a record towards the selected split's watermark without emitting it. A reader whose splits
   * wait for each other shows all of them the records from which they start, before it reads any: those
   * just before the split, so that "late" means the same wherever the input was cut, or else its first.
   * All of a split's start is shown in one poll, or a checkpoint would take a part for the whole.
   */
  observe(record: T): void;
  /**
   * The selected split has more, which waits for its turn: until it is selected again it holds the
   * watermark back where it stands, and is never idle.
   */
  pauseSplit(): void;
  /** The selected split will emit nothing more; it no longer holds the watermark back. */
  finishSplit(): void;
}

/** 'more': call again at once; 'wait': call again after `available()`; 'end': bounded, and all is read. */
export type PollResult = 'more' | 'wait' | 'end';

export interface SourceReader<T, S extends SourceSplit = SourceSplit> {
  /**
   * New splits, or restored ones that carry their position. From here until it is finished, each
   * holds the source's watermark back: it may still bring the earliest record.
   */
  addSplits(splits: readonly S[]): void;
  /** All splits of a bounded source have been added; without it `poll` never returns 'end'. */
  noMoreSplits(): void;
  /** Emits at most `recordsMax` records. Must not block. */
  poll(output: SourceOutput<T>, recordsMax: number): PollResult;
  /** Resolves when `poll` may have something; rejects when reading failed. */
  available(): Promise<void>;
  /**
   * Every split that this reader was given, with the position after the last emitted record; finished ones too.
   * @param checkpointId of the checkpoint that these positions are for
   */
  snapshot(checkpointId?: number): readonly S[];
  /** The checkpoint with these positions is complete; for systems that want to be told. */
  notifyCheckpointComplete?(checkpointId: number): void;
  close(): Promise<void>;
}

export interface SourceContext {
  readonly operator: string;
  readonly subtask: number;
  readonly parallelism: number;
  /** Wall clock (ms) and timers, injected. */
  readonly clock: {
    now(): number;
    monotonic(): number;
    setTimer(delayMs: number, callback: () => void): () => void;
  };
  /** Of this operator and subtask: what the connector wants to be seen. */
  readonly metrics: MetricGroup;
}

/** How the job is set, as far as it matters to what a connector keeps open from one checkpoint to the next. */
export interface JobSettings {
  readonly checkpoint: CheckpointConfig;
  readonly restart: RestartStrategyConfig;
}

/** Where a job is submitted: not always the machine that it runs on. */
export interface CheckContext extends Pick<SourceContext, 'clock'> {
  readonly settings: JobSettings;
}

export interface Source<T, S extends SourceSplit = SourceSplit> {
  /** For people: `files transactions.ndjson`. */
  readonly description: string;
  /**
   * JSON text for commands that ask the system read from themselves, such as `millrace kafka lag`. It travels in the
   * job's graph: never a secret, only where one is kept.
   */
  readonly info?: string;
  readonly schema: Schema<T>;
  /** Schema of a split with its position, for checkpoints. */
  readonly splitSchema: Schema<S>;
  readonly bounded: boolean;
  /** How often discoverSplits is called again; undefined: once. */
  readonly discoveryIntervalMs?: number;
  /**
   * Asked once where the job is submitted, so that a mistake is told before the job runs: it rejects with what the
   * job would fail with. It has 10 s; what can't be known from there is no mistake.
   */
  check?(context: CheckContext): Promise<void>;
  /**
   * All splits there are now. Every subtask calls it and must get the same answer for a split that
   * exists, whenever it asks; positions of those it does not read may differ.
   * @param known ids of the splits that were found before, by the restored checkpoint too: an answer may
   *   leave them out. Undefined: the source starts without a state, and this is the first time.
   */
  discoverSplits(context: SourceContext, known?: ReadonlySet<string>): Promise<readonly S[]>;
  createReader(context: SourceContext): SourceReader<T, S>;
}
