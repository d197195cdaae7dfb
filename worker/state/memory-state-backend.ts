/**
 * The `memory` backend: keyed state and timers of one operator and subtask as live objects on the
 * heap. Reading and updating the state of the current key allocates nothing. A snapshot is written
 * whole and synchronously; state that outgrows the heap belongs in another backend.
 */
import type {
  AggregatingStateDescriptor,
  ReducingStateDescriptor,
  StateDescriptor,
} from '../../api/state.js';
import { assertNever, MillraceError } from '../../core/errors.js';
import type { Key } from '../../core/key-codec.js';
import { compileRecordCodec, type RecordCodec } from '../../core/record-codec.js';
import { schemaEquals } from '../../core/schema-json.js';
import type { Schema } from '../../core/schema.js';
import { DeclaredState } from './declared-state.js';
import { ExpiringMapState } from './expiring-map-state.js';
import { KeyTable, type KeyEntry } from './key-table.js';
import type {
  InternalTimers,
  KeyedStateBackend,
  KeyedStateBackendOptions,
  KeyedStateSnapshot,
  WindowState,
} from './keyed-state-backend.js';
import { MemoryAggregatingState } from './memory-aggregating-state.js';
import { MemoryListState } from './memory-list-state.js';
import { MemoryMapState } from './memory-map-state.js';
import { MemoryReducingState } from './memory-reducing-state.js';
import type { MemoryState, MemoryStateOptions } from './memory-state.js';
import { MemoryTimers } from './memory-timers.js';
import { MemoryValueState } from './memory-value-state.js';
import { MemoryWindowState } from './memory-window-state.js';
import { restoreSnapshot } from './snapshot-reader.js';
import { timerRowSchema, type KeyColumn, type StateKind, type TimerRow } from './snapshot-rows.js';
import { writeSnapshot } from './snapshot-writer.js';

export interface MemoryStateBackendOptions extends KeyedStateBackendOptions {
  /** Skip states of a snapshot that are no longer declared, instead of refusing them. */
  readonly allowNonRestoredState?: boolean;
}

export class MemoryStateBackend implements KeyedStateBackend {
  readonly #options: MemoryStateBackendOptions;
  readonly #keys = new KeyTable();
  readonly #timers = new MemoryTimers(this.#keys);
  readonly #states = new Map<string, DeclaredState>();
  readonly #timerCodecs = new Map<KeyColumn, RecordCodec<TimerRow>>();
  /** States with a time to live, in turn for the sweep. */
  readonly #expiring: MemoryState[] = [];
  /** Where the sweep stands; undefined between two rounds. */
  #sweep: IterableIterator<KeyEntry> | undefined;

  constructor(options: MemoryStateBackendOptions) {
    this.#options = options;
  }

  get timers(): InternalTimers {
    return this.#timers;
  }

  state(name: string, descriptor: StateDescriptor): unknown {
    const { kind, schema, ttlMs } = descriptor;
    return this.#declare(name, kind, schema, ttlMs, (options) => createState(options, descriptor));
  }

  windowState<A>(name: string, accumulator: Schema<A>): WindowState<A> {
    return this.#declare(
      name,
      'window',
      accumulator,
      undefined,
      (options) => new MemoryWindowState<A>(options),
    ) as MemoryWindowState<A>;
  }

  setCurrentKey(key: Key): void {
    this.#keys.setCurrentKey(key);
  }

  currentKey(): Key {
    return this.#keys.currentKey();
  }

  prefetch(): undefined {
    return undefined;
  }

  /** @throws MillraceError SCHEMA_MISMATCH naming the state whose value its schema does not describe */
  snapshot(checkpointId: number): KeyedStateSnapshot {
    return writeSnapshot({
      ...this.#options,
      checkpointId,
      keys: this.#keys,
      states: [...this.#states.values()],
      timers: this.#timers,
      timerCodec: (keys) => this.#timerCodec(keys),
    });
  }

  restore(files: readonly Uint8Array[]): void {
    for (const file of files) {
      restoreSnapshot(file, {
        allowNonRestoredState: false,
        ...this.#options,
        keys: this.#keys,
        states: this.#states,
        timers: this.#timers,
        timerCodec: (keys) => this.#timerCodec(keys),
      });
    }
  }

  /** Looks at no more than `entriesMax` keys in a call, and at all of them over several. */
  cleanExpired(entriesMax: number): void {
    if (this.#expiring.length === 0) return;
    const now = this.#options.now();
    let left = entriesMax;
    while (left > 0) {
      this.#sweep ??= this.#keys.entries();
      const next = this.#sweep.next();
      if (next.done === true) {
        this.#sweep = undefined;
        return;
      }
      let removed = 0;
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
    return Promise.resolve();
  }

  #declare(
    name: string,
    kind: StateKind,
    schema: Schema,
    ttlMs: number | undefined,
    create: (options: MemoryStateOptions) => MemoryState,
  ): MemoryState {
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
    const state = create({ keys: this.#keys, schema, ttlMs, now: this.#options.now });
    const form = { kind, schema, ttl: ttlMs !== undefined };
    this.#states.set(name, new DeclaredState(name, form, ttlMs, state));
    if (ttlMs !== undefined) this.#expiring.push(state);
    return state;
  }

  #timerCodec(keys: KeyColumn): RecordCodec<TimerRow> {
    let codec = this.#timerCodecs.get(keys);
    if (codec === undefined) {
      codec = compileRecordCodec(timerRowSchema(keys));
      this.#timerCodecs.set(keys, codec);
    }
    return codec;
  }
}

function createState(options: MemoryStateOptions, descriptor: StateDescriptor): MemoryState {
  switch (descriptor.kind) {
    case 'value':
      return new MemoryValueState(options);
    case 'list':
      return new MemoryListState(options);
    case 'map':
      return options.ttlMs === undefined
        ? new MemoryMapState(options)
        : new ExpiringMapState(options, options.ttlMs);
    case 'reducing': {
      const { reduce } = descriptor as ReducingStateDescriptor<unknown>;
      return new MemoryReducingState(options, reduce);
    }
    case 'aggregating':
      return new MemoryAggregatingState(
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
