/**
 * Keyed state and timers of one operator and subtask as live objects on the heap: all of them in the
 * `memory` backend, those in use in the `rocksdb` backend, which has a cold store below them. Reading
 * and updating the state of the current key allocates nothing. A snapshot writes what changed.
 */
import type {
  AggregatingStateDescriptor,
  ReducingStateDescriptor,
  StateDescriptor,
} from '../../api/state.js';
import { isDeepStrictEqual } from 'node:util';
import { assertNever, MillraceError, toMillraceError } from '../../core/errors.js';
import type { Key } from '../../core/key-codec.js';
import { schemaEquals } from '../../core/schema-json.js';
import type { Schema } from '../../core/schema.js';
import { BigCollections, COLLECTION_BOUND, type CollectionBound } from './big-collections.js';
import { ChangeLog } from './change-log.js';
import type { ColdStore } from './cold/cold-store.js';
import { DeclaredState } from './declared-state.js';
import { ExpiringMapState } from './expiring-map-state.js';
import { KeyCache, type ColdBelow } from './key-cache.js';
import type { KeyEntry } from './key-entry.js';
import { KeyTable } from './key-table.js';
import type {
  InternalTimers,
  KeyedStateBackend,
  KeyedStateBackendOptions,
  KeyedStateSnapshot,
  WindowState,
} from './keyed-state-backend.js';
import { HeapAggregatingState } from './heap-aggregating-state.js';
import { HeapListState } from './heap-list-state.js';
import { HeapMapState } from './heap-map-state.js';
import { HeapReducingState } from './heap-reducing-state.js';
import type { HeapState, HeapStateOptions } from './heap-state.js';
import { HeapTimers } from './heap-timers.js';
import { HeapValueState } from './heap-value-state.js';
import { HeapWindowState } from './heap-window-state.js';
import { intersect } from './key-group-buckets.js';
import type { ReplayedRun, ReplayTarget } from './replay-target.js';
import { openRunFile, type StateForm } from './run-file.js';
import { FEW_SPARES, RunBuffers } from './run-buffers.js';
import { RunLog } from './run-log.js';
import type { LogRun, Run } from './run-services.js';
import { RunReplay } from './run-replay.js';
import type { StateKind } from './run-rows.js';
import type { RunBytes } from './run-storage.js';
import type { WrittenRun } from './run-writer.js';

export interface HeapKeyedStateBackendOptions extends KeyedStateBackendOptions {
  /** Skip states of a snapshot that are no longer declared, instead of refusing them. */
  readonly allowNonRestoredState?: boolean;
  /** Rows that are written between two records while a snapshot is taken. */
  readonly sliceChangesMax?: number;
  /** Of fewer keys a checkpoint never writes all. */
  readonly wholeKeysMin?: number;
  /** Where state goes that does not fit into memory; undefined: all of it has to. */
  readonly cold?: ColdBelow | undefined;
  /** From where on a map is kept in parts, over a cold store. */
  readonly collectionBound?: CollectionBound;
}

/** Between two checkpoints changes are written once they are this part of what is in memory. */
const UNSAVED_SHARE = 8;
/** The same while others are still being written. */
const UNSAVED_SHARE_MIDST = 2;
/** A checkpoint that would write this part of all keys writes all of them, and needs none before it. */
const WHOLE_SHARE = 2;
/** Of fewer keys merges cost nothing. */
const WHOLE_KEYS_MIN = 4096;
/** All keys are looked at within the barrier, which takes 25 ms for so many. */
const WHOLE_KEYS_MAX = 600_000;
/** Timers that came or went are written at the latest when there are so many. */
const TIMER_CHANGES_MAX = 64 * 1024;

export class HeapKeyedStateBackend implements KeyedStateBackend {
  readonly #options: HeapKeyedStateBackendOptions;
  readonly #keys = new KeyTable();
  readonly #timers = new HeapTimers(this.#keys);
  readonly #states = new Map<string, DeclaredState>();
  /** The same states by the index of their slots. */
  readonly #slots: DeclaredState[] = [];
  readonly #changes: ChangeLog;
  readonly #runs: RunLog;
  readonly #store: ColdStore | undefined;
  readonly #cache: KeyCache | undefined;
  readonly #big: BigCollections | undefined;
  /** Of the latest snapshot. */
  #checkpointId = 0;
  /** All writes before it (processing time, ms) are in the runs. */
  #completeUntil = -Infinity;
  /** The snapshot whose runs are not held yet: what is written after it has to wait. */
  #unheld: number | undefined;
  #waiting: WrittenRun[] = [];
  /** Whether the next snapshot has to tell of states that were declared in another way. */
  #redeclared = false;
  /** States with a time to live, in turn for the sweep. */
  readonly #expiring: HeapState[] = [];
  /** Where the sweep stands; undefined between two rounds. */
  #sweep: IterableIterator<KeyEntry> | undefined;

  constructor(options: HeapKeyedStateBackendOptions) {
    this.#options = options;
    const { runs, operator, keyGroups, maxParallelism, now } = options;
    const smallRuns = options.cold !== undefined;
    const buffers = new RunBuffers(smallRuns ? FEW_SPARES : undefined);
    this.#changes = new ChangeLog({
      ...options,
      smallRuns,
      buffers,
      keys: this.#keys,
      timers: this.#timers,
      states: this.#slots,
    });
    this.#runs = new RunLog({
      ...runs,
      buffers,
      operator,
      keyGroups,
      maxParallelism,
      name: `${operator}-${String(keyGroups.start)}`,
      states: () => this.#forms(),
      now,
      completeUntil: () => this.#completeUntil,
    });
    const { cold } = options;
    if (cold === undefined) return;
    this.#store = cold.newStore();
    this.#cache = new KeyCache({
      keys: this.#keys,
      timers: this.#timers,
      states: this.#slots,
      maxParallelism,
      store: this.#store,
      memory: cold.memory,
      onUnsaved: () => this.#writeUnsaved(),
    });
    this.#big = new BigCollections({
      elements: this.#store.elements,
      memory: cold.memory,
      bound: options.collectionBound ?? COLLECTION_BOUND,
      onUnsaved: () => this.#writeUnsavedParts(),
    });
    this.#keys.putOver(this.#cache);
    this.#timers.putOver(this.#cache);
  }

  get timers(): InternalTimers {
    return this.#timers;
  }

  state(name: string, descriptor: StateDescriptor): unknown {
    const { kind, schema, ttlMs } = descriptor;
    return this.#declare(name, kind, schema, ttlMs, (options) => createState(options, descriptor));
  }

  windowState<A>(name: string, accumulator: Schema<A>): WindowState<A> {
    return this.#declare(name, 'window', accumulator, undefined, (options) => {
      const below =
        this.#store && this.#cache
          ? { windows: this.#store.windows(this.#slots.length), cache: this.#cache }
          : undefined;
      return new HeapWindowState<A>(options, below);
    }) as HeapWindowState<A>;
  }

  setCurrentKey(key: Key): void {
    this.#keys.setCurrentKey(key);
  }

  currentKey(): Key {
    return this.#keys.currentKey();
  }

  get isCold(): boolean {
    return this.#cache !== undefined;
  }

  prefetch(keys: readonly Key[]): void {
    const entries = this.#keys.lookUp(keys);
    this.#cache?.prefetch(keys, entries);
    this.#store?.flush();
    for (const { state } of this.#slots) state.visit(entries);
  }

  snapshot(checkpointId: number): KeyedStateSnapshot {
    const whole = this.#writesAll();
    let first: Run | undefined;
    const frozen = this.#changes.freeze({
      checkpointId,
      always: this.#redeclared,
      whole,
      onRun: (run) => {
        this.#appendWaiting();
        const appended = this.#runs.append(checkpointId, run);
        first ??= appended;
      },
    });
    const frozenAt = this.#options.now();
    // A snapshot that is not held by now was given up.
    this.#appendWaiting();
    this.#checkpointId = checkpointId;
    this.#unheld = checkpointId;
    this.#redeclared = false;
    return {
      keyGroups: this.#options.keyGroups,
      runs: async () => {
        try {
          while (frozen.proceed()) await this.#options.runs.nextTurn();
          if (frozen.failure !== undefined) throw toMillraceError(frozen.failure);
          if (whole && first !== undefined) this.#runs.supersedeBefore(first);
          this.#completeUntil = Math.max(this.#completeUntil, frozenAt);
          return await this.#runs.hold(checkpointId);
        } finally {
          if (this.#unheld === checkpointId) {
            this.#unheld = undefined;
            this.#appendWaiting();
          }
        }
      },
    };
  }

  restore(lists: readonly (readonly Run[])[]): void {
    const opened: OpenRun[][] = [];
    try {
      for (const list of lists) {
        const runs: OpenRun[] = [];
        opened.push(runs);
        for (const run of list) {
          const keyGroups = intersect(run.keyGroups, this.#options.keyGroups);
          if (keyGroups.start < keyGroups.end) runs.push(this.#open({ ...run, keyGroups }));
        }
      }
      const replay = new RunReplay(opened.flat(), this.#replayTarget());
      const { start, end } = replay.buckets;
      for (let bucket = start; bucket < end; bucket++) {
        this.#cache?.beginBucket();
        replay.replay(bucket);
        this.#cache?.endBucket();
      }
      this.#removeExpired();
      this.#completeUntil = this.#options.now();
      this.#redeclared = opened.some(
        (list) => !this.#isDeclaredAs(list.at(-1)?.file.header.states),
      );
      this.#runs.restore(opened.map((list) => list.map(restoredRun)));
    } finally {
      for (const { bytes } of opened.flat()) bytes.close();
    }
  }

  /** Looks at no more than `entriesMax` keys in a call, and at all of them over several. */
  cleanExpired(entriesMax: number): void {
    const now = this.#options.now();
    if (this.#store !== undefined) this.#keys.releaseCold(this.#store.tidy(now));
    if (this.#expiring.length === 0) return;
    let left = entriesMax;
    while (left > 0) {
      this.#sweep ??= this.#keys.entries();
      const next = this.#sweep.next();
      if (next.done === true) {
        this.#sweep = undefined;
        return;
      }
      let removed = 0;
      this.#keys.touch(next.value);
      for (const state of this.#expiring) {
        removed += state.removeExpired(next.value, now, left - removed);
      }
      left -= Math.max(1, removed);
    }
  }

  /** What all keys have in all states; a list or map counts once, each window of a key once, each timer too. */
  entryCount(): number {
    return this.#keys.holdCount;
  }

  close(): Promise<void> {
    this.#cache?.close();
    this.#big?.close();
    return this.#runs.close();
  }

  /** Whether that costs less than to merge the changes with what the log has, sooner or later. */
  #writesAll(): boolean {
    const { changedCount, size } = this.#keys;
    const { wholeKeysMin = WHOLE_KEYS_MIN } = this.#options;
    if (this.isCold || this.#runs.isEmpty) return false;
    if (size < wholeKeysMin || size > WHOLE_KEYS_MAX) return false;
    return changedCount * WHOLE_SHARE >= size;
  }

  /** What could leave memory has to be in the log before. */
  #writeUnsaved(): void {
    const { frozen } = this.#changes;
    frozen?.proceed();
    if (this.#changes.promised) return;
    const { changedCount, size } = this.#keys;
    const { changeCount } = this.#timers;
    const share = frozen === undefined ? UNSAVED_SHARE : UNSAVED_SHARE_MIDST;
    if (Math.max(changedCount, changeCount) * share < size && changeCount < TIMER_CHANGES_MAX)
      return;
    this.#freezeBetween();
  }

  /** The same for large parts of few keys; one may be in use. */
  #writeUnsavedParts(): void {
    if (this.#changes.frozen?.proceed() !== true) this.#freezeBetween();
  }

  #freezeBetween(): void {
    this.#changes.freezeBetween({
      checkpointId: this.#checkpointId,
      always: false,
      whole: false,
      onRun: (run) => {
        this.#waiting.push(run);
        if (this.#unheld === undefined) this.#appendWaiting();
      },
    });
  }

  /** Runs of changes after the latest checkpoint, once nobody can take them for a part of it. */
  #appendWaiting(): void {
    if (this.#waiting.length === 0) return;
    for (const run of this.#waiting.splice(0)) this.#runs.append(this.#checkpointId, run);
    this.#runs.compact();
  }

  #open(run: Run): OpenRun {
    const bytes = this.#options.runs.storage.open(run.name);
    try {
      return { ...run, bytes, file: openRunFile(bytes) };
    } catch (error) {
      bytes.close();
      throw error;
    }
  }

  #replayTarget(): ReplayTarget {
    const { operator, keyGroups, maxParallelism, allowNonRestoredState = false } = this.#options;
    const timers = this.#timers;
    return {
      operator,
      keyGroups,
      maxParallelism,
      allowNonRestoredState,
      states: this.#states,
      setCurrentKey: (key, hash) => this.#keys.setCurrentKey(key, hash),
      restoreTimer: (domain, timestamp, sequence) => timers.restore(domain, timestamp, sequence),
      restoreRemovedTimer: (domain, timestamp) => timers.restoreRemoved(domain, timestamp),
    };
  }

  /** Only now, since the last row of a list tells the age of all of it. */
  #removeExpired(): void {
    if (this.#expiring.length === 0) return;
    const now = this.#options.now();
    for (const entry of this.#keys.entries()) {
      for (const state of this.#expiring) state.removeExpired(entry, now, Infinity);
    }
  }

  #forms(): readonly StateForm[] {
    return this.#slots.map(({ json }) => json);
  }

  #isDeclaredAs(written: readonly StateForm[] = this.#forms()): boolean {
    return isDeepStrictEqual(formsByName(written), formsByName(this.#forms()));
  }

  #declare(
    name: string,
    kind: StateKind,
    schema: Schema,
    ttlMs: number | undefined,
    create: (options: HeapStateOptions) => HeapState,
  ): HeapState {
    const before = this.#states.get(name);
    if (before !== undefined) {
      if (before.form.kind === kind && schemaEquals(before.form.schema, schema)) {
        return before.state;
      }
      throw invalid(name, 'is declared twice in different ways; give each state a name of its own');
    }
    if (ttlMs !== undefined && !(ttlMs > 0)) {
      throw invalid(name, `has a time to live of ${String(ttlMs)} ms; give it more than 0`);
    }
    const state = create({
      keys: this.#keys,
      schema,
      ttlMs,
      now: this.#options.now,
      big: this.#big,
    });
    const form = { kind, schema, ttl: ttlMs !== undefined };
    const declared = new DeclaredState(name, form, ttlMs, state);
    this.#states.set(name, declared);
    this.#slots.push(declared);
    if (ttlMs !== undefined) this.#expiring.push(state);
    return state;
  }
}

interface OpenRun extends ReplayedRun {
  readonly name: string;
  readonly bytes: RunBytes;
}

function restoredRun({ name, keyGroups, bytes, file }: OpenRun): LogRun {
  const { changes, part } = file.header;
  return { name, keyGroups, lengthBytes: bytes.lengthBytes, changes, part };
}

function formsByName(forms: readonly StateForm[]): ReadonlyMap<string, StateForm> {
  return new Map(
    forms.map(({ name, kind, schema, ttlMs }) => [name, { name, kind, schema, ttlMs }]),
  );
}

function createState(options: HeapStateOptions, descriptor: StateDescriptor): HeapState {
  switch (descriptor.kind) {
    case 'value':
      return new HeapValueState(options);
    case 'list':
      return new HeapListState(options);
    case 'map':
      return options.ttlMs === undefined
        ? new HeapMapState(options)
        : new ExpiringMapState(options, options.ttlMs);
    case 'reducing': {
      const { reduce } = descriptor as ReducingStateDescriptor<unknown>;
      return new HeapReducingState(options, reduce);
    }
    case 'aggregating':
      return new HeapAggregatingState(
        options,
        descriptor as AggregatingStateDescriptor<unknown, unknown, unknown>,
      );
    default:
      return assertNever(descriptor.kind);
  }
}

function invalid(name: string, what: string): MillraceError {
  return new MillraceError('STATE_INVALID', `state '${name}' ${what}`);
}
