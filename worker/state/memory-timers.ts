/**
 * The timers of a memory backend: one queue per time domain. A timer holds the entry of its key, so
 * firing finds the state of the key without a lookup. Timers never change, so what a freeze leaves
 * to be written can be written at any time: which of them waited then follows from their epochs.
 */
import { MillraceError } from '../../core/errors.js';
import { TIMERS_BIT, type KeyTable } from './key-table.js';
import type { InternalTimers, TimeDomain, TimerCallback } from './keyed-state-backend.js';
import { TimerQueue, type Timer } from './timer-queue.js';

export const TIME_DOMAINS = ['eventTime', 'processingTime'] as const satisfies TimeDomain[];

/** Below this many, timers that came and went are left among the registered ones. */
const GONE_MAX = 1024;

/** The timers of one domain that the log has to hear of. */
export interface TimerChanges {
  readonly domain: TimeDomain;
  /** Registered in the epoch; some are gone by its end. */
  readonly registered: readonly Timer[];
  /** Gone in the epoch, and in the log from earlier ones. */
  readonly removed: readonly Timer[];
  /** The earliest timer that was left at the end; undefined: none was. */
  readonly earliest: number | undefined;
}

export class MemoryTimers implements InternalTimers {
  readonly #keys: KeyTable;
  readonly #domains: Readonly<Record<TimeDomain, DomainTimers>>;

  constructor(keys: KeyTable) {
    this.#keys = keys;
    this.#domains = {
      eventTime: new DomainTimers(keys),
      processingTime: new DomainTimers(keys),
    };
  }

  register(domain: TimeDomain, timestamp: number): void {
    if (Number.isNaN(timestamp)) {
      throw new MillraceError(
        'USER_CODE_FAILED',
        'a timer was registered for NaN; give it a number of milliseconds',
      );
    }
    this.#domains[domain].register(timestamp);
  }

  delete(domain: TimeDomain, timestamp: number): void {
    const entry = this.#keys.current;
    if (entry === undefined) return;
    const timer = this.#domains[domain].queue.delete(entry, timestamp);
    if (timer !== undefined) this.#domains[domain].gone(timer);
  }

  advance(domain: TimeDomain, time: number, callback: TimerCallback, firedMax = Infinity): boolean {
    const timers = this.#domains[domain];
    for (let fired = 0; ; fired++) {
      const timer = timers.queue.peek();
      if (timer === undefined || timer.timestamp > time) return false;
      if (fired === firedMax) return true;
      this.#keys.setCurrentEntry(timer.entry);
      timers.queue.remove(timer);
      timers.gone(timer);
      callback(timer.timestamp, timer.entry.key, domain);
    }
  }

  next(domain: TimeDomain): number | undefined {
    return this.#domains[domain].queue.peek()?.timestamp;
  }

  /** A timer of the current key as the log has it, in its old place among equal timestamps. */
  restore(domain: TimeDomain, timestamp: number, sequence: number): void {
    this.#domains[domain].restore(timestamp, sequence);
  }

  /** A timer of the current key that the log says is gone. */
  restoreRemoved(domain: TimeDomain, timestamp: number): void {
    const entry = this.#keys.current;
    if (entry === undefined) return;
    if (this.#domains[domain].queue.delete(entry, timestamp) !== undefined) {
      this.#keys.release(entry);
    }
  }

  /** What changed in this epoch; called when it ends. */
  takeChanges(): readonly TimerChanges[] {
    return TIME_DOMAINS.map((domain) => ({
      domain,
      ...this.#domains[domain].takeChanges(),
      earliest: this.next(domain),
    }));
  }
}

class DomainTimers {
  readonly queue = new TimerQueue();
  readonly #keys: KeyTable;
  #registered: Timer[] = [];
  #removed: Timer[] = [];
  /** How many of the registered ones are gone. */
  #goneCount = 0;

  constructor(keys: KeyTable) {
    this.#keys = keys;
  }

  register(timestamp: number): void {
    const entry = this.#keys.demand();
    const timer = this.queue.add(entry, timestamp, this.#keys.epoch);
    if (timer === undefined) return;
    this.#keys.hold(entry);
    this.#keys.mark(entry, TIMERS_BIT);
    this.#registered.push(timer);
  }

  restore(timestamp: number, sequence: number): void {
    const entry = this.#keys.demand();
    const timer = this.queue.restore(entry, timestamp, sequence, 0);
    if (timer !== undefined) this.#keys.hold(entry);
  }

  /** A timer was taken out of the queue. */
  gone(timer: Timer): void {
    timer.goneIn = this.#keys.epoch;
    if (timer.epoch < timer.goneIn) this.#removed.push(timer);
    else this.#forget();
    this.#keys.release(timer.entry);
  }

  takeChanges(): Pick<TimerChanges, 'registered' | 'removed'> {
    const changes = { registered: this.#registered, removed: this.#removed };
    this.#registered = [];
    this.#removed = [];
    this.#goneCount = 0;
    return changes;
  }

  /** Timers that are rearmed with each record must not pile up between two freezes. */
  #forget(): void {
    if (++this.#goneCount < GONE_MAX || this.#goneCount * 2 < this.#registered.length) return;
    this.#registered = this.#registered.filter(({ goneIn }) => goneIn === 0);
    this.#goneCount = 0;
  }
}
