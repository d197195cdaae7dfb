/**
 * What changed in a backend since the last checkpoint, as runs (journey of a checkpoint: subtask
 * checkpoint coordinator -> change log -> run writer). A freeze only begins a new epoch. What changed
 * before it is written in slices between records, and each key at the latest when a record is about
 * to touch it, so that processing never stops for a checkpoint. It must never lose a change: what
 * can't be written counts as changed again.
 */
import { invariant, isMillraceError, MillraceError } from '../../core/errors.js';
import { keyGroupOf, type KeyGroupRange } from '../../core/key-group.js';
import type { DeclaredState } from './declared-state.js';
import type { KeyEntry, Timer } from './key-entry.js';
import { SHARED_SLOT, TIMERS_BIT, type KeyTable } from './key-table.js';
import type { HeapTimers, TimerChanges } from './heap-timers.js';
import type { RunBuffers } from './run-buffers.js';
import { RunWriter, type WrittenRun } from './run-writer.js';

/** A run is closed at this size: what is written and not stored yet lies in memory. */
const RUN_BYTES_MAX = 4 * 1024 * 1024;
/** Where memory is what counts. */
const SMALL_RUN_BYTES_MAX = 2 * 1024 * 1024;
/** Rows in one slice: about a millisecond. */
const SLICE_CHANGES_MAX = 1024;
/** Entries and timers looked at in one slice, which may all turn out to be gone. */
const SLICE_VISITS_MAX = 16 * 1024;

export interface ChangeLogOptions {
  readonly operator: string;
  readonly keyGroups: KeyGroupRange;
  readonly maxParallelism: number;
  readonly keys: KeyTable;
  readonly timers: HeapTimers;
  readonly buffers: RunBuffers;
  /** In the order of their slots; more may be declared until the first freeze. */
  readonly states: readonly DeclaredState[];
  readonly sliceChangesMax?: number | undefined;
  /** Whether runs are kept small. */
  readonly smallRuns: boolean;
}

/** What a freeze is for. */
export interface Freeze {
  /** Of the checkpoint; between two of them, of the one before. */
  readonly checkpointId: number;
  /** Writes a run even when nothing changed. */
  readonly always: boolean;
  /** Writes all that there is, so that it needs no earlier run. */
  readonly whole: boolean;
  readonly onRun: (run: WrittenRun) => void;
}

export class ChangeLog {
  readonly #options: ChangeLogOptions;
  #frozen: FrozenChanges | undefined;
  /** Whether what is frozen belongs to a checkpoint, and can't be put off to a later freeze. */
  #promised = false;

  constructor(options: ChangeLogOptions) {
    this.#options = options;
  }

  /** What is still being written. */
  get frozen(): FrozenChanges | undefined {
    return this.#frozen?.done === true ? undefined : this.#frozen;
  }

  /** Whether a checkpoint is still being written. */
  get promised(): boolean {
    return this.#promised && this.frozen !== undefined;
  }

  /** All changes up to now; what an earlier checkpoint has left is written first. */
  freeze(freeze: Freeze): FrozenChanges {
    if (this.promised) this.#frozen?.finish();
    this.#promised = true;
    return this.#begin(freeze);
  }

  /** As `freeze`, between two checkpoints: what is not written before the next freeze is left to that. */
  freezeBetween(freeze: Freeze): FrozenChanges {
    invariant(!this.promised, 'a checkpoint is written before more is frozen');
    this.#promised = false;
    return this.#begin(freeze);
  }

  #begin(freeze: Freeze): FrozenChanges {
    const before = this.frozen;
    this.#frozen = new FrozenChanges(this.#options, freeze, before?.leave());
    return this.#frozen;
  }
}

/** What a freeze has not written, which the next one has to. */
interface LeftChanges {
  readonly timers: readonly TimerChanges[];
  readonly entries: readonly KeyEntry[];
}

export class FrozenChanges {
  readonly #options: ChangeLogOptions;
  readonly #always: boolean;
  readonly #whole: boolean;
  readonly #writer: RunWriter;
  /** The last epoch that belongs to this. */
  readonly #epoch: number;
  /** Empty once all of them are written. */
  #timers: readonly TimerChanges[];
  readonly #entries: readonly KeyEntry[];
  /** How many of those are written. */
  #written = 0;
  readonly #work: Iterator<undefined>;
  #done = false;
  #failure: unknown;

  constructor(
    options: ChangeLogOptions,
    { checkpointId, always, whole, onRun }: Freeze,
    left: LeftChanges | undefined,
  ) {
    const { keys, timers, states } = options;
    this.#options = options;
    this.#always = always;
    this.#whole = whole;
    this.#epoch = keys.epoch;
    this.#writer = new RunWriter({
      ...options,
      checkpointId,
      keys: keys.onlyText ? 'string' : 'bytes',
      whole,
      runBytesMax: options.smallRuns ? SMALL_RUN_BYTES_MAX : RUN_BYTES_MAX,
      onRun,
    });
    const timerChanges = timers.takeChanges(whole);
    this.#writeRanges(timerChanges, states);
    const save = (entry: KeyEntry): void => this.#save(entry);
    const entries = whole ? keys.freezeAll(save) : keys.freeze(save);
    this.#timers = left === undefined ? timerChanges : [...left.timers, ...timerChanges];
    this.#entries = left === undefined ? entries : [...left.entries, ...entries];
    this.#work = this.#writeAll();
  }

  get done(): boolean {
    return this.#done;
  }

  /** Why something could not be written; undefined while all could. */
  get failure(): unknown {
    return this.#failure;
  }

  /** Writes a slice. @returns whether there is more */
  proceed(): boolean {
    if (this.#done) return false;
    const writer = this.#writer;
    const until = writer.changes + (this.#options.sliceChangesMax ?? SLICE_CHANGES_MAX);
    for (let visits = 0; visits < SLICE_VISITS_MAX && writer.changes < until; visits++) {
      if (this.#work.next().done === true) {
        this.#end();
        return false;
      }
    }
    return true;
  }

  /** Writes all that is left at once. */
  finish(): void {
    while (this.proceed());
  }

  /** Ends it as it is; the next freeze writes what is left. */
  leave(): LeftChanges {
    this.#done = true;
    this.#endRun();
    return { timers: this.#timers, entries: this.#entries.slice(this.#written) };
  }

  #end(): void {
    this.#done = true;
    this.#options.keys.thaw();
    this.#endRun();
  }

  #endRun(): void {
    if (this.#writer.runChanges > 0 || (this.#always && this.#writer.changes === 0)) {
      this.#writer.endRun(this.#options.keyGroups);
    }
  }

  /** What is gone by ranges comes first, since all rows of these changes are later than it. */
  #writeRanges(timers: readonly TimerChanges[], states: readonly DeclaredState[]): void {
    const { start: groupStart, end: groupEnd } = this.#options.keyGroups;
    states.forEach(({ state }, index) => {
      for (const start of state.takeDropped()) {
        this.#writer.dropped(index, { start, groupStart, groupEnd });
      }
    });
    for (const { domain, removed, earliest } of timers) {
      if (removed.length === 0) continue;
      this.#writer.fired({
        processingTime: domain === 'processingTime',
        bound: earliest ?? Infinity,
        inclusive: earliest === undefined,
        groupStart,
        groupEnd,
      });
    }
  }

  *#writeAll(): Generator<undefined, void, undefined> {
    // A timer that was deleted and registered again has a row after its removal.
    for (const { domain, removed, earliest = Infinity } of this.#timers) {
      for (const timer of removed) {
        if (timer.timestamp >= earliest) {
          this.#writeTimer(timer, () => this.#writer.removedTimer(domain, timer.timestamp));
        }
        yield;
      }
    }
    for (const { domain, registered } of this.#timers) {
      for (const timer of registered) {
        if (timer.goneIn === 0 || timer.goneIn > this.#epoch) {
          this.#writeTimer(timer, () =>
            this.#writer.timer(domain, timer.timestamp, timer.sequence),
          );
        }
        yield;
      }
    }
    this.#timers = [];
    this.#options.keys.timersSaved(this.#epoch);
    for (const entry of this.#entries) {
      this.#written++;
      if (entry.changed !== 0 && entry.epoch <= this.#epoch) this.#save(entry);
      yield;
    }
  }

  #writeTimer(timer: Timer, write: () => void): void {
    try {
      this.#writer.setKey(timer.entry.key, this.#groupOf(timer.entry));
      write();
      this.#endFullRun();
    } catch (error) {
      this.#failure ??= error;
    }
  }

  #save(entry: KeyEntry): void {
    const { keys, states } = this.#options;
    if (entry.holds === 0 && entry.logged === 0) {
      entry.changed = 0;
      return;
    }
    let { logged } = entry;
    let left = this.#whole ? keys.allSlots : entry.changed & ~TIMERS_BIT;
    let index = 0;
    try {
      this.#writer.setKey(entry.key, this.#groupOf(entry));
      while (left !== 0) {
        const bit = left & -left;
        index = 31 - Math.clz32(bit);
        const end = index === SHARED_SLOT ? states.length : index + 1;
        const before = (logged & bit) !== 0;
        // Should a write fail half way, the log has rows.
        logged |= bit;
        let holds = false;
        for (; index < end; index++) holds = this.#saveSlot(entry, index, before) || holds;
        if (!holds) logged &= ~bit;
        left ^= bit;
      }
      keys.saved(entry, logged);
      this.#endFullRun();
    } catch (error) {
      this.#failure ??= namingState(error, states[index]?.name, this.#options.operator);
      entry.logged = logged;
      keys.markAgain(entry);
    }
  }

  #saveSlot(entry: KeyEntry, index: number, logged: boolean): boolean {
    const changes = this.#writer.changesOf(index);
    const declared = this.#options.states[index];
    return changes !== undefined && declared?.state.save(entry, logged, changes) === true;
  }

  #endFullRun(): void {
    if (this.#writer.isFull) this.#writer.endRun(this.#options.keyGroups);
  }

  #groupOf(entry: KeyEntry): number {
    const { keyGroups, maxParallelism } = this.#options;
    const group = keyGroupOf(entry.hash, maxParallelism);
    if (group >= keyGroups.start && group < keyGroups.end) return group;
    throw new MillraceError(
      'KEY_GROUP_RANGE',
      `a key of group ${String(group)} reached the owner of groups ${String(keyGroups.start)} to ${String(keyGroups.end - 1)}; make the key selector return the same key each time`,
    );
  }
}

function namingState(error: unknown, state: string | undefined, operator: string): unknown {
  if (!isMillraceError(error) || error.code !== 'SCHEMA_MISMATCH') return error;
  return new MillraceError(
    'SCHEMA_MISMATCH',
    `state '${state ?? ''}' holds what its schema does not declare: ${error.message.replace('SCHEMA_MISMATCH: ', '')}`,
    { cause: error, location: { operator } },
  );
}
