/**
 * Writes changes of keyed state as runs (journey of a checkpoint: change log or merge -> run writer ->
 * run log). The rows of a key lie in the bucket of its key group; everything else is in columns. It
 * must never keep a value: rows are encoded before a call returns.
 */
import { encodeKey, type Key } from '../../core/key-codec.js';
import type { KeyGroupRange } from '../../core/key-group.js';
import type { DeclaredState } from './declared-state.js';
import { bucketOf } from './key-group-buckets.js';
import type { TimeDomain } from './keyed-state-backend.js';
import type { ReplayedState, StateChanges } from './heap-state.js';
import type { RunBuffers } from './run-buffers.js';
import { ChunkList, RUN_VERSION, type StateSection } from './run-file.js';
import {
  StateRow,
  TimerRow,
  type DroppedRow,
  type FiredRow,
  type KeyColumn,
  ROW_CODECS,
} from './run-rows.js';
import { RunSection } from './run-section.js';

export interface WrittenRun {
  /** All of it, or what `takeFull` has left; the taker's, who gives them back to the buffers. */
  readonly pieces: readonly Uint8Array[];
  /** Of the whole run. */
  readonly lengthBytes: number;
  readonly keyGroups: KeyGroupRange;
  /** Rows in it, of all kinds. */
  readonly changes: number;
  /** Which of the writer's runs it is, from 0. */
  readonly part: number;
}

export interface RunWriterOptions {
  readonly operator: string;
  readonly checkpointId: number;
  readonly maxParallelism: number;
  readonly keys: KeyColumn;
  readonly states: readonly DeclaredState<ReplayedState>[];
  readonly buffers: RunBuffers;
  /** Whether each key is written with all that it has. */
  readonly whole: boolean;
  /** A run that is this long should be ended. */
  readonly runBytesMax: number;
  readonly onRun: (run: WrittenRun) => void;
}

export class RunWriter {
  readonly #options: RunWriterOptions;
  readonly #states: readonly StateWriter[];
  readonly #fired: RunSection<FiredRow>;
  readonly #removedTimers: RunSection<TimerRow>;
  readonly #timers: RunSection<TimerRow>;
  readonly #timer = new TimerRow();
  readonly #at: Position;
  #written = 0;
  #parts = 0;

  constructor(options: RunWriterOptions) {
    const { keys, states, buffers, whole } = options;
    this.#options = options;
    this.#at = { row: new StateRow(), bucket: 0, changes: 0, list: new ChunkList(buffers) };
    this.#states = states.map((state) => new StateWriter(state, keys, whole, this.#at));
    this.#fired = new RunSection(() => ROW_CODECS.fired());
    this.#removedTimers = new RunSection(() => ROW_CODECS.removedTimer(keys));
    this.#timers = new RunSection(() => ROW_CODECS.timer(keys));
  }

  /** Rows so far, in all runs. */
  get changes(): number {
    return this.#written + this.#at.changes;
  }

  /** Rows in the run at hand. */
  get runChanges(): number {
    return this.#at.changes;
  }

  /** Whether the run at hand should be ended soon. */
  get isFull(): boolean {
    return this.#at.list.byteLength >= this.#options.runBytesMax;
  }

  /** What is written next is of this key. */
  setKey(key: Key, keyGroup: number): void {
    const { keys, maxParallelism } = this.#options;
    const cell = keys === 'string' && typeof key === 'string' ? key : encodeKey(key);
    this.#at.row.key = cell;
    this.#timer.key = cell;
    this.#at.bucket = bucketOf(keyGroup, maxParallelism);
  }

  /** Of the key at hand, in the state of this index. */
  changesOf(state: number): StateChanges | undefined {
    return this.#states[state];
  }

  dropped(state: number, row: DroppedRow): void {
    this.#states[state]?.drop(row);
  }

  fired(row: FiredRow): void {
    const { maxParallelism } = this.#options;
    this.#fired.append(bucketOf(row.groupStart, maxParallelism), row, this.#at.list);
    this.#at.changes++;
  }

  timer(domain: TimeDomain, timestamp: number, sequence: number): void {
    this.#fillTimer(domain, timestamp, sequence);
    this.#timers.append(this.#at.bucket, this.#timer, this.#at.list);
    this.#at.changes++;
  }

  removedTimer(domain: TimeDomain, timestamp: number): void {
    this.#fillTimer(domain, timestamp, 0);
    this.#removedTimers.append(this.#at.bucket, this.#timer, this.#at.list);
    this.#at.changes++;
  }

  /** Nothing more comes of this bucket. */
  closeBucket(bucket: number): void {
    const { list } = this.#at;
    for (const state of this.#states) state.close(bucket);
    this.#removedTimers.close(bucket, list);
    this.#timers.close(bucket, list);
  }

  /** What of the run at hand can be written already; the taker's, who gives it back to the buffers. */
  takeFull(): readonly Uint8Array[] {
    return this.#at.list.takeFull();
  }

  /** Ends the run at hand and begins another. @param keyGroups that its rows are of */
  endRun(keyGroups: KeyGroupRange): void {
    const at = this.#at;
    const { operator, checkpointId, maxParallelism, keys, buffers, onRun } = this.#options;
    const part = this.#parts++;
    const { list, changes } = at;
    const states = this.#states.map((state) => state.take());
    const timers = {
      fired: this.#fired.take(list),
      removed: this.#removedTimers.take(list),
      rows: this.#timers.take(list),
    };
    at.list = new ChunkList(buffers);
    at.changes = 0;
    this.#written += changes;
    const header = { operator, checkpointId, maxParallelism, keyGroups, keys, changes, part };
    const pieces = list.finish({ version: RUN_VERSION, ...header, states, timers });
    onRun({ pieces, lengthBytes: list.byteLength, keyGroups, changes, part });
  }

  #fillTimer(domain: TimeDomain, timestamp: number, sequence: number): void {
    this.#timer.timestamp = timestamp;
    this.#timer.sequence = sequence;
    this.#timer.processingTime = domain === 'processingTime';
  }
}

/** What the writers of one run share. */
interface Position {
  /** With the key at hand. */
  readonly row: StateRow;
  bucket: number;
  changes: number;
  list: ChunkList;
}

class StateWriter implements StateChanges {
  readonly row: StateRow;
  readonly whole: boolean;
  readonly #state: DeclaredState<ReplayedState>;
  readonly #at: Position;
  readonly #dropped: RunSection<DroppedRow>;
  readonly #cleared: RunSection<StateRow>;
  readonly #removed: RunSection<StateRow>;
  readonly #rows: RunSection<StateRow>;

  constructor(state: DeclaredState<ReplayedState>, keys: KeyColumn, whole: boolean, at: Position) {
    this.row = at.row;
    this.whole = whole;
    this.#state = state;
    this.#at = at;
    this.#dropped = new RunSection(() => ROW_CODECS.dropped());
    this.#cleared = new RunSection(() => ROW_CODECS.cleared(keys));
    this.#removed = new RunSection(() => ROW_CODECS.removed(keys));
    this.#rows = new RunSection(() => state.codec(keys));
  }

  put(): void {
    this.#rows.append(this.#at.bucket, this.row, this.#at.list);
    this.#at.changes++;
  }

  clear(): void {
    this.#cleared.append(this.#at.bucket, this.row, this.#at.list);
    this.#at.changes++;
  }

  remove(): void {
    this.#removed.append(this.#at.bucket, this.row, this.#at.list);
    this.#at.changes++;
  }

  drop(row: DroppedRow): void {
    this.#dropped.append(0, row, this.#at.list);
    this.#at.changes++;
  }

  close(bucket: number): void {
    const { list } = this.#at;
    this.#cleared.close(bucket, list);
    this.#removed.close(bucket, list);
    this.#rows.close(bucket, list);
  }

  take(): StateSection {
    const { list } = this.#at;
    return {
      ...this.#state.json,
      dropped: this.#dropped.take(list),
      cleared: this.#cleared.take(list),
      removed: this.#removed.take(list),
      rows: this.#rows.take(list),
    };
  }
}
