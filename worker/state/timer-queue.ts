/**
 * The timers of one time domain: a binary heap by timestamp and order of registration, and a hash
 * table over the same nodes that finds the timer of a key and timestamp. Registering twice is one
 * timer, and a deleted timer is taken out at once, so that rearmed timeouts leave nothing behind.
 * It must never fire anything itself.
 */
import type { TimeDomain } from './keyed-state-backend.js';
import { Timer, type KeyEntry } from './key-entry.js';

const BUCKETS_MIN = 64;

export class TimerQueue {
  readonly #heap: Timer[] = [];
  #buckets: (Timer | undefined)[] = new Array<Timer | undefined>(BUCKETS_MIN).fill(undefined);
  #sequence = 0;

  constructor(readonly domain: TimeDomain) {}

  get size(): number {
    return this.#heap.length;
  }

  peek(): Timer | undefined {
    return this.#heap[0];
  }

  /** In no order. */
  all(): readonly Timer[] {
    return [...this.#heap];
  }

  /** @returns undefined when the key has a timer of this timestamp already */
  add(entry: KeyEntry, timestamp: number, epoch: number): Timer | undefined {
    return this.restore(entry, timestamp, this.#sequence, epoch);
  }

  /** Adds a timer with the place it had among equal timestamps; later ones come after it. */
  restore(entry: KeyEntry, timestamp: number, sequence: number, epoch: number): Timer | undefined {
    const bucket = this.#bucketOf(entry, timestamp);
    for (let timer = this.#buckets[bucket]; timer !== undefined; timer = timer.next) {
      if (timer.entry === entry && timer.timestamp === timestamp) return undefined;
    }
    const timer = new Timer(this.domain, entry, timestamp, sequence, epoch);
    this.#sequence = Math.max(this.#sequence, sequence + 1);
    timer.next = this.#buckets[bucket];
    this.#buckets[bucket] = timer;
    this.#heap.push(timer);
    this.#siftUp(timer, this.#heap.length - 1);
    if (this.#heap.length > this.#buckets.length) this.#grow();
    timer.nextOfKey = entry.timers;
    if (entry.timers !== undefined) entry.timers.previousOfKey = timer;
    entry.timers = timer;
    return timer;
  }

  /** @returns the timer that was taken out; undefined when there is none */
  delete(entry: KeyEntry, timestamp: number): Timer | undefined {
    let timer = this.#buckets[this.#bucketOf(entry, timestamp)];
    while (timer !== undefined && !(timer.entry === entry && timer.timestamp === timestamp)) {
      timer = timer.next;
    }
    if (timer !== undefined) this.remove(timer);
    return timer;
  }

  /** Takes out a timer that is in this queue. */
  remove(timer: Timer): void {
    this.#unchain(timer);
    unlink(timer);
    const last = this.#heap.pop();
    if (last === undefined || last === timer) return;
    const parent = this.#heap[(timer.index - 1) >> 1];
    if (parent !== undefined && timer.index > 0 && before(last, parent)) {
      this.#siftUp(last, timer.index);
    } else {
      this.#siftDown(last, timer.index);
    }
  }

  #siftUp(timer: Timer, from: number): void {
    const heap = this.#heap;
    let index = from;
    while (index > 0) {
      const parent = heap[(index - 1) >> 1];
      if (parent === undefined || !before(timer, parent)) break;
      heap[index] = parent;
      parent.index = index;
      index = (index - 1) >> 1;
    }
    heap[index] = timer;
    timer.index = index;
  }

  #siftDown(timer: Timer, from: number): void {
    const heap = this.#heap;
    let index = from;
    for (;;) {
      let childIndex = 2 * index + 1;
      let child = heap[childIndex];
      if (child === undefined) break;
      const right = heap[childIndex + 1];
      if (right !== undefined && before(right, child)) {
        child = right;
        childIndex++;
      }
      if (!before(child, timer)) break;
      heap[index] = child;
      child.index = index;
      index = childIndex;
    }
    heap[index] = timer;
    timer.index = index;
  }

  #bucketOf(entry: KeyEntry, timestamp: number): number {
    // A remainder keeps the sign and turns infinities into NaN, which become 0 as integers.
    const low = (timestamp % 0x1_0000_0000) | 0;
    let hash = Math.imul(entry.ordinal, 0x9e3779b1) ^ Math.imul(low, 0x85ebca6b);
    hash ^= hash >>> 15;
    return hash & (this.#buckets.length - 1);
  }

  #unchain(timer: Timer): void {
    const bucket = this.#bucketOf(timer.entry, timer.timestamp);
    let previous = this.#buckets[bucket];
    if (previous === timer) {
      this.#buckets[bucket] = timer.next;
    } else {
      while (previous !== undefined && previous.next !== timer) previous = previous.next;
      if (previous !== undefined) previous.next = timer.next;
    }
    timer.next = undefined;
  }

  #grow(): void {
    this.#buckets = new Array<Timer | undefined>(this.#buckets.length * 2).fill(undefined);
    for (const timer of this.#heap) {
      const bucket = this.#bucketOf(timer.entry, timer.timestamp);
      timer.next = this.#buckets[bucket];
      this.#buckets[bucket] = timer;
    }
  }
}

/** Takes a timer out of those of its key. */
function unlink(timer: Timer): void {
  const { entry, nextOfKey, previousOfKey } = timer;
  if (nextOfKey !== undefined) nextOfKey.previousOfKey = previousOfKey;
  if (previousOfKey === undefined) entry.timers = nextOfKey;
  else previousOfKey.nextOfKey = nextOfKey;
}

/** Order of firing: timestamp, then registration. */
export function before(a: Timer, b: Timer): boolean {
  return a.timestamp < b.timestamp || (a.timestamp === b.timestamp && a.sequence < b.sequence);
}
