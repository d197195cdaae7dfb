/**
 * Window state in memory. Each key has a short chain of its open windows, newest first, so an
 * accumulator costs no second hash lookup; each window has the list of its accumulators, in order
 * of arrival, so firing and dropping visit nothing else. The log hears of a dropped window as a whole.
 * Accumulators of keys that left memory lie in the cold store by window, and are gone through there.
 */
import { decodeKey, type Key } from '../../core/key-codec.js';
import { compileValueCodec, type ValueCodec } from '../../core/value-codec.js';
import type { ColdWindows } from './cold/cold-windows.js';
import type { ColdKey } from './cold/cold-key.js';
import { heapSizeOf, type HeapSize } from './heap-size.js';
import type { KeyCache } from './key-cache.js';
import type { KeyEntry } from './key-entry.js';
import { slotBit } from './key-table.js';
import type { WindowState } from './keyed-state-backend.js';
import {
  NOTHING_DROPPED,
  type HeapState,
  type HeapStateOptions,
  type StateChanges,
} from './heap-state.js';
import { ownValueOf, type OwnValue } from './own-value.js';
import type { StateRow } from './run-rows.js';

/** Rows of a window that are read together. */
const PAGE_ROWS = 1024;
/** A node with its place in the list of its window. */
const NODE_BYTES = 100;

class WindowNode<A> {
  /** Whether the log has the accumulator as it is. */
  logged = false;
  /** Whether the cold store has. */
  cold = false;
  /** Position in the list of its window. */
  index = -1;

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
  /** Keys that have an accumulator in the cold store and none here. */
  coldCount = 0;

  /** @param epoch of its first accumulator: while it lasts, the log has nothing of the window */
  constructor(readonly epoch: number) {}

  add(node: WindowNode<A>): void {
    node.index = this.nodes.length;
    this.nodes.push(node);
  }

  remove({ index }: WindowNode<A>): void {
    const last = this.nodes.pop();
    if (last === undefined || last.index === index) return;
    last.index = index;
    this.nodes[index] = last;
  }
}

/** Where accumulators of keys go that leave memory. */
export interface WindowsBelow {
  readonly windows: ColdWindows;
  readonly cache: KeyCache;
}

/** How far a visit of cold accumulators has come. */
interface Cursor {
  readonly start: number;
  visited: number;
  after: ColdKey | undefined;
}

export class HeapWindowState<A> implements WindowState<A>, HeapState {
  readonly #keys: HeapStateOptions['keys'];
  readonly #index: number;
  readonly #bit: number;
  readonly #own: OwnValue | undefined;
  readonly #windows = new Map<number, OpenWindow<A>>();
  /** Replaced, never changed: a caller may drop windows while it goes through them. */
  #starts: readonly number[] | undefined = [];
  #dropped: number[] = [];
  readonly #codec: ValueCodec<A>;
  readonly #size: HeapSize;
  readonly #below: WindowsBelow | undefined;
  /** While a window is visited in several calls, nothing of it may move. */
  #cursor: Cursor | undefined;

  constructor({ keys, schema }: HeapStateOptions, below?: WindowsBelow) {
    this.#below = below;
    this.#codec = compileValueCodec(schema) as ValueCodec<A>;
    this.#size = heapSizeOf(schema);
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
    const window = this.#windows.get(windowStart);
    if (window === undefined) return 0;
    const cursor = this.#beginVisit(windowStart);
    const { nodes } = window;
    const end = Math.min(nodes.length, from + count);
    for (let position = from; position < end; position++) {
      const node = nodes[position];
      if (node === undefined) continue;
      this.#keys.touch(node.entry);
      visit(node.entry.key, node.accumulator);
    }
    const visited = Math.max(0, end - from);
    const left = count - visited;
    const cold =
      window.coldCount === 0
        ? 0
        : this.#visitCold(cursor, from + visited - nodes.length, left, visit);
    if (cold < left) this.#endVisit();
    return visited + cold;
  }

  /** Brings in what the cold store has of these keys in a window: they are about to be used. */
  prefetch(windowStart: number, keys: readonly Key[]): void {
    const window = this.#windows.get(windowStart);
    if (this.#below === undefined || window === undefined || window.coldCount === 0) return;
    const { windows, cache } = this.#below;
    const absent = keys.filter((key) => {
      const entry = this.#keys.find(key);
      if (this.#nodeOf(entry, windowStart) === undefined) return true;
      // It must not make room for the others and be read again.
      if (entry !== undefined) entry.referenced = true;
      return false;
    });
    const coldKeys = absent.map((key) => cache.coldKeyOf(key));
    const rows = windows.beginRead(windowStart, coldKeys).values();
    absent.forEach((key, index) => {
      const row = rows[index];
      const known = this.#keys.find(key);
      // A key may be asked for twice.
      if (row === undefined || this.#nodeOf(known, windowStart) !== undefined) return;
      const entry = known ?? this.#keys.adopt(key);
      if (known === undefined) cache.created(entry);
      this.#load(entry, window, windowStart, row);
    });
  }

  drop(windowStart: number): void {
    const window = this.#windows.get(windowStart);
    if (window === undefined) return;
    this.#windows.delete(windowStart);
    this.#starts = undefined;
    if (this.#cursor?.start === windowStart) this.#endVisit();
    this.#keys.releaseCold(window.coldCount);
    this.#below?.windows.drop(windowStart);
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
      if (node.logged && !changes.whole) continue;
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

  readonly row = undefined;

  visit(entries: readonly (KeyEntry | undefined)[]): number {
    let filled = 0;
    for (const entry of entries) {
      if (entry !== undefined && typeof this.#head(entry)?.accumulator === 'object') filled++;
    }
    return filled;
  }

  heapBytes(entry: KeyEntry): number {
    let bytes = 0;
    for (let node = this.#head(entry); node !== undefined; node = node.next) {
      bytes += NODE_BYTES + this.#size(node.accumulator);
    }
    return bytes;
  }

  unload(entry: KeyEntry): void {
    if (this.#below === undefined) return;
    const { windows, cache } = this.#below;
    for (let node = this.#head(entry); node !== undefined; node = node.next) {
      const window = this.#windows.get(node.start);
      if (window === undefined) continue;
      if (!node.cold) {
        windows.put(node.start, cache.coldKeyOf(entry.key), this.#codec.encode(node.accumulator));
      }
      window.remove(node);
      window.coldCount++;
    }
  }

  takeDropped(): readonly number[] {
    if (this.#dropped.length === 0) return NOTHING_DROPPED;
    const dropped = this.#dropped;
    this.#dropped = [];
    return dropped;
  }

  #find(start: number): WindowNode<A> | undefined {
    const node = this.#nodeOf(this.#keys.current, start);
    if (node !== undefined || this.#below === undefined) return node;
    const window = this.#windows.get(start);
    if (window === undefined || window.coldCount === 0) return undefined;
    const { windows, cache } = this.#below;
    const row = windows.get(start, cache.coldKeyOf(this.#keys.currentKey()));
    return row && this.#load(this.#keys.demand(), window, start, row);
  }

  #nodeOf(entry: KeyEntry | undefined, start: number): WindowNode<A> | undefined {
    let node = entry && this.#head(entry);
    while (node !== undefined && node.start !== start) node = node.next;
    return node;
  }

  /** Brings an accumulator in that the cold store has. */
  #load(entry: KeyEntry, window: OpenWindow<A>, start: number, row: Uint8Array): WindowNode<A> {
    const node = new WindowNode(entry, start, this.#codec.decode(row), this.#head(entry));
    node.logged = true;
    node.cold = true;
    entry.slots[this.#index] = node;
    entry.holds++;
    window.coldCount--;
    window.add(node);
    return node;
  }

  /** @param skip cold accumulators that were visited before */
  #visitCold(
    cursor: Cursor,
    skip: number,
    count: number,
    visit: (key: Key, accumulator: A) => void,
  ): number {
    if (this.#below === undefined) return 0;
    const { windows } = this.#below;
    if (cursor.visited > skip) Object.assign(cursor, { visited: 0, after: undefined });
    let visited = 0;
    while (visited < count) {
      const { rows, more } = windows.page(cursor.start, cursor.after, Math.min(PAGE_ROWS, count));
      for (const row of rows) {
        if (visited === count) break;
        cursor.after = row;
        const key = decodeKey(row.bytes);
        // What is in memory is newer.
        if (this.#nodeOf(this.#keys.find(key), cursor.start) !== undefined) continue;
        if (cursor.visited++ < skip) continue;
        visit(key, this.#codec.decode(row.contents));
        visited++;
      }
      if (!more) break;
    }
    return visited;
  }

  /** Nothing leaves memory until all of a window is visited, though others ask for room meanwhile. */
  #beginVisit(start: number): Cursor {
    if (this.#cursor?.start === start) return this.#cursor;
    this.#endVisit();
    this.#below?.cache.pin();
    this.#cursor = { start, visited: 0, after: undefined };
    return this.#cursor;
  }

  #endVisit(): void {
    if (this.#cursor === undefined) return;
    this.#cursor = undefined;
    this.#below?.cache.unpin();
  }

  #head(entry: KeyEntry): WindowNode<A> | undefined {
    return entry.slots[this.#index] as WindowNode<A> | undefined;
  }

  #place(start: number, accumulator: A, epoch: number): WindowNode<A> {
    const node = this.#find(start);
    if (node === undefined) return this.#insert(start, accumulator, epoch);
    node.accumulator = accumulator;
    node.cold = false;
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
    window.add(node);
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
