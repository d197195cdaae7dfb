/**
 * What operators see of keyed state. One backend per operator and subtask holds the state and timers
 * of the subtask's key groups. Operators call it synchronously between `prefetch` and the end of a
 * batch; it must never look up to tasks, operators or the network.
 */
import type { StateDescriptor } from '../../api/state.js';
import type { Key } from '../../core/key-codec.js';
import type { KeyGroupRange } from '../../core/key-group.js';
import type { Schema } from '../../core/schema.js';
import type { HeldRuns, Run, RunServices } from './run-services.js';

export type TimeDomain = 'eventTime' | 'processingTime';

/** Fires for every due timer, in order of timestamp; the backend's current key is the timer's key. */
export type TimerCallback = (timestamp: number, key: Key, domain: TimeDomain) => void;

export interface InternalTimers {
  /** One timer per current key, domain and timestamp. */
  register(domain: TimeDomain, timestamp: number): void;
  delete(domain: TimeDomain, timestamp: number): void;
  /**
   * Fires timers with timestamp <= `time`, those registered by the callback included, at most `firedMax` (all
   * unless told). Equal timestamps fire in order of registration.
   * @returns whether due timers are left
   */
  advance(domain: TimeDomain, time: number, callback: TimerCallback, firedMax?: number): boolean;
  /** Timestamp of the earliest timer; undefined when there is none. */
  next(domain: TimeDomain): number | undefined;
}

/** Accumulators by window start and key; a window's contents are visited together when it fires. */
export interface WindowState<A> {
  /** The accumulator of the current key. */
  get(windowStart: number): A | undefined;
  put(windowStart: number, accumulator: A): void;
  /** Starts of the windows that hold anything, ascending. */
  windows(): readonly number[];
  /**
   * Visits at most `count` keys of a window, from the `from`th in an order that stays while nothing is put; the
   * callback may not change the state.
   * @returns how many were visited: fewer than `count` when there are no more
   */
  forEach(
    windowStart: number,
    from: number,
    count: number,
    visit: (key: Key, accumulator: A) => void,
  ): number;
  /** Brings the accumulators of these keys in, all at once: the next batch is about to use them. */
  prefetch(windowStart: number, keys: readonly Key[]): void;
  /** Drops the window with all of its keys. */
  drop(windowStart: number): void;
}

/** The synchronous part of a snapshot is over when this exists. */
export interface KeyedStateSnapshot {
  readonly keyGroups: KeyGroupRange;
  /**
   * Writes what changed since the last snapshot, in slices between other work, and holds all runs that make the
   * state as of this one. Called once, also for a snapshot that is given up: until it has settled, nothing that came
   * after the snapshot joins the runs.
   * @throws MillraceError SCHEMA_MISMATCH naming the state whose value its schema does not describe
   */
  runs(): Promise<HeldRuns>;
}

export interface KeyedStateBackend {
  /** The handle of a declared state (ValueState, ListState, ...); the same each time. */
  state(name: string, descriptor: StateDescriptor): unknown;
  windowState<A>(name: string, accumulator: Schema<A>): WindowState<A>;
  readonly timers: InternalTimers;
  setCurrentKey(key: Key): void;
  currentKey(): Key;
  /** Whether some of the state may be out of memory, so that it pays to prefetch. */
  readonly isCold: boolean;
  /** Brings the state of these keys in, all at once: the next batch is about to touch them. */
  prefetch(keys: readonly Key[]): void;
  snapshot(checkpointId: number): KeyedStateSnapshot;
  /**
   * Takes the state of its own key groups out of runs, whatever parallelism they were written at; they belong to the
   * backend from now on. Called once, after all states are declared and before any record.
   * @param lists the runs of each subtask that wrote, oldest first
   * @throws MillraceError CHECKPOINT_CORRUPT or STATE_NOT_RESTORABLE naming the state
   */
  restore(lists: readonly (readonly Run[])[]): void;
  /** Removes expired entries, at most `entriesMax`; called in idle moments. */
  cleanExpired(entriesMax: number): void;
  /** Number of entries over all states, for metrics. */
  entryCount(): number;
  close(): Promise<void>;
}

export interface KeyedStateBackendOptions {
  readonly operator: string;
  readonly keyGroups: KeyGroupRange;
  readonly maxParallelism: number;
  /** Processing time (ms since the epoch), for TTL. */
  readonly now: () => number;
  readonly runs: RunServices;
}
