/**
 * Window state in memory. Each key has a short chain of its open windows, newest first, so an
 * accumulator costs no second hash lookup; each window has the list of its accumulators, in order
 * of arrival, so firing and dropping visit nothing else. The log hears of a dropped window as a whole.
 */
import type { Key } from '../../core/key-codec.js';
import { slotBit, type KeyEntry } from './key-table.js';
import type { WindowState } from './keyed-state-backend.js';
import {
  NOTHING_DROPPED,
  type MemoryState,
  type MemoryStateOptions,
  type StateChanges,
} from './memory-state.js';
import { ownValueOf, type OwnValue } from './own-value.js';
import type { StateRow } from './run-rows.js';

class WindowNode<A> {
  /** Whether the log has the accumulator as it is. */
  logged = false;

  constructor(
    readonly entry: KeyEntry,
    readonly start: number,
    public accumulator: A,
    public next: WindowNode<A> | undefined,
  ) {}
}

/** What a restore brings was logged before all else. */
const RESTORED_EPOCH = 0;

class OpenWindow<A> {
  readonly nodes: WindowNode<A>[] = [];

  /** @param epoch of its first accumulator: while it lasts, the log has nothing of the window */
  constructor(readonly epoch: number) {}
}

export class MemoryWindowState<A> implements WindowState<A>, MemoryState {
  readonly #keys: MemoryStateOptions['keys'];
  readonly #index: number;
  readonly #bit: number;
  readonly #own: OwnValue | undefined;
  readonly #windows = new Map<number, OpenWindow<A>>();
  /** Replaced, never changed: a caller may drop windows while it goes through them. */
  #starts: readonly number[] | undefined = [];
  #dropped: number[] = [];

  constructor({ keys, schema }: MemoryStateOptions) {
    this.#keys = keys;
    this.#index = keys.addSlot();
    this.#bit = slotBit(this.#index);
    this.#own = ownValueOf(schema);
  }

  get(windowStart: number): A | undefined {
    return this.#find(windowStart)?.accumulator;
  }

  put(windowStart: number, accumulator: A): void {
    const owned = this.#own === undefined ? accumulator : (this.#own(accumulator) as A);
    const node = this.#place(windowStart, owned, this.#keys.epoch);
    node.logged = false;
    this.#keys.mark(node.entry, this.#bit);
  }

  windows(): readonly number[] {
    return (this.#starts ??= [...this.#windows.keys()].sort((a, b) => a - b));
  }

  forEach(
    windowStart: number,
    from: number,
    count: number,
    visit: (key: Key, accumulator: A) => void,
  ): number {
    const nodes = this.#windows.get(windowStart)?.nodes ?? [];
    const end = Math.min(nodes.length, from + count);
    for (let position = from; position < end; position++) {
      const node = nodes[position];
      if (node === undefined) continue;
      this.#keys.touch(node.entry);
      visit(node.entry.key, node.accumulator);
    }
    return Math.max(0, end - from);
  }

  drop(windowStart: number): void {
    const window = this.#windows.get(windowStart);
    if (window === undefined) return;
    this.#windows.delete(windowStart);
    this.#starts = undefined;
    if (window.epoch < this.#keys.epoch) this.#dropped.push(windowStart);
    for (const node of window.nodes) {
      this.#keys.touch(node.entry);
      this.#unlink(node);
    }
  }

  /** Windows of a key are never cleared one by one, so the log is never asked to. */
  save(entry: KeyEntry, _logged: boolean, changes: StateChanges): boolean {
    const { row } = changes;
    row.writtenAt = undefined;
    for (let node = this.#head(entry); node !== undefined; node = node.next) {
      if (node.logged) continue;
      row.start = node.start;
      row.value = node.accumulator;
      changes.put();
      node.logged = true;
    }
    return false;
  }

  restoreRow(row: StateRow): void {
    this.#place(row.start, row.value as A, RESTORED_EPOCH).logged = true;
  }

  restoreCleared(): void {
    // Never written: see `save`.
  }

  restoreRemoved(): void {
    // Never written: see `save`.
  }

  removeExpired(): number {
    return 0;
  }

  takeDropped(): readonly number[] {
    if (this.#dropped.length === 0) return NOTHING_DROPPED;
    const dropped = this.#dropped;
    this.#dropped = [];
    return dropped;
  }

  #find(start: number): WindowNode<A> | undefined {
    const entry = this.#keys.current;
    let node = entry && this.#head(entry);
    while (node !== undefined && node.start !== start) node = node.next;
    return node;
  }

  #head(entry: KeyEntry): WindowNode<A> | undefined {
    return entry.slots[this.#index] as WindowNode<A> | undefined;
  }

  #place(start: number, accumulator: A, epoch: number): WindowNode<A> {
    const node = this.#find(start);
    if (node === undefined) return this.#insert(start, accumulator, epoch);
    node.accumulator = accumulator;
    return node;
  }

  #insert(start: number, accumulator: A, epoch: number): WindowNode<A> {
    const entry = this.#keys.demand();
    const node = new WindowNode(entry, start, accumulator, this.#head(entry));
    entry.slots[this.#index] = node;
    this.#keys.hold(entry);
    let window = this.#windows.get(start);
    if (window === undefined) {
      window = new OpenWindow(epoch);
      this.#windows.set(start, window);
      this.#starts = undefined;
    }
    window.nodes.push(node);
    return node;
  }

  #unlink(node: WindowNode<A>): void {
    const { entry } = node;
    let previous = this.#head(entry);
    if (previous === node) {
      entry.slots[this.#index] = node.next;
    } else {
      while (previous?.next !== node) previous = previous?.next;
      previous.next = node.next;
    }
    this.#keys.release(entry);
  }
}
