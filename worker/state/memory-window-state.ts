/**
 * Window state in memory. Each key has a short chain of its open windows, newest first, so an
 * accumulator costs no second hash lookup; each window has the list of its accumulators, in order
 * of arrival, so firing and dropping visit nothing else.
 */
import type { Key } from '../../core/key-codec.js';
import type { KeyEntry } from './key-table.js';
import type { WindowState } from './keyed-state-backend.js';
import type { MemoryState, MemoryStateOptions } from './memory-state.js';
import { ownValueOf, type OwnValue } from './own-value.js';
import type { StateRow } from './snapshot-rows.js';

class WindowNode<A> {
  constructor(
    readonly entry: KeyEntry,
    readonly start: number,
    public accumulator: A,
    public next: WindowNode<A> | undefined,
  ) {}
}

export class MemoryWindowState<A> implements WindowState<A>, MemoryState {
  readonly #keys: MemoryStateOptions['keys'];
  readonly #index: number;
  readonly #own: OwnValue | undefined;
  readonly #windows = new Map<number, WindowNode<A>[]>();
  /** Replaced, never changed: a caller may drop windows while it goes through them. */
  #starts: readonly number[] | undefined = [];

  constructor({ keys, schema }: MemoryStateOptions) {
    this.#keys = keys;
    this.#index = keys.addSlot();
    this.#own = ownValueOf(schema);
  }

  get(windowStart: number): A | undefined {
    return this.#find(windowStart)?.accumulator;
  }

  put(windowStart: number, accumulator: A): void {
    this.#place(windowStart, this.#own === undefined ? accumulator : (this.#own(accumulator) as A));
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
    const nodes = this.#windows.get(windowStart) ?? [];
    const end = Math.min(nodes.length, from + count);
    for (let position = from; position < end; position++) {
      const node = nodes[position];
      if (node !== undefined) visit(node.entry.key, node.accumulator);
    }
    return Math.max(0, end - from);
  }

  drop(windowStart: number): void {
    const nodes = this.#windows.get(windowStart);
    if (nodes === undefined) return;
    this.#windows.delete(windowStart);
    this.#starts = undefined;
    for (const node of nodes) this.#unlink(node);
  }

  eachRow(entry: KeyEntry, row: StateRow, emit: () => void): void {
    for (let node = this.#head(entry); node !== undefined; node = node.next) {
      row.start = node.start;
      row.value = node.accumulator;
      row.writtenAt = undefined;
      emit();
    }
  }

  restoreRow(row: StateRow): void {
    this.#place(row.start, row.value as A);
  }

  removeExpired(): number {
    return 0;
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

  #place(start: number, accumulator: A): void {
    const node = this.#find(start);
    if (node === undefined) this.#insert(start, accumulator);
    else node.accumulator = accumulator;
  }

  #insert(start: number, accumulator: A): void {
    const entry = this.#keys.demand();
    const node = new WindowNode(entry, start, accumulator, this.#head(entry));
    entry.slots[this.#index] = node;
    this.#keys.hold(entry);
    const nodes = this.#windows.get(start);
    if (nodes !== undefined) {
      nodes.push(node);
    } else {
      this.#windows.set(start, [node]);
      this.#starts = undefined;
    }
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
