/**
 * The timers of a memory backend: one queue per time domain. A timer holds the entry of its key, so
 * firing finds the state of the key without a lookup.
 */
import { MillraceError } from '../../core/errors.js';
import type { KeyTable } from './key-table.js';
import type { InternalTimers, TimeDomain, TimerCallback } from './keyed-state-backend.js';
import { TimerQueue } from './timer-queue.js';

export class MemoryTimers implements InternalTimers {
  readonly #keys: KeyTable;
  readonly #queues: Readonly<Record<TimeDomain, TimerQueue>> = {
    eventTime: new TimerQueue(),
    processingTime: new TimerQueue(),
  };

  constructor(keys: KeyTable) {
    this.#keys = keys;
  }

  register(domain: TimeDomain, timestamp: number): void {
    if (Number.isNaN(timestamp)) {
      throw new MillraceError(
        'USER_CODE_FAILED',
        'a timer was registered for NaN; give it a number of milliseconds',
      );
    }
    const entry = this.#keys.demand();
    if (this.#queues[domain].add(entry, timestamp)) this.#keys.hold(entry);
  }

  delete(domain: TimeDomain, timestamp: number): void {
    const entry = this.#keys.current;
    if (entry !== undefined && this.#queues[domain].delete(entry, timestamp)) {
      this.#keys.release(entry);
    }
  }

  advance(domain: TimeDomain, time: number, callback: TimerCallback, firedMax = Infinity): boolean {
    const queue = this.#queues[domain];
    for (let fired = 0; ; fired++) {
      const timer = queue.peek();
      if (timer === undefined || timer.timestamp > time) return false;
      if (fired === firedMax) return true;
      queue.remove(timer);
      this.#keys.setCurrentEntry(timer.entry);
      this.#keys.release(timer.entry);
      callback(timer.timestamp, timer.entry.key, domain);
    }
  }

  next(domain: TimeDomain): number | undefined {
    return this.#queues[domain].peek()?.timestamp;
  }

  /** A timer of the current key as a snapshot holds it, in its old place among equal timestamps. */
  restore(domain: TimeDomain, timestamp: number, sequence: number): void {
    const entry = this.#keys.demand();
    if (this.#queues[domain].restore(entry, timestamp, sequence)) this.#keys.hold(entry);
  }

  /** For snapshots. */
  queue(domain: TimeDomain): TimerQueue {
    return this.#queues[domain];
  }
}
