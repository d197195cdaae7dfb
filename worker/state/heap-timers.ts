/**
 * The timers of a backend: one queue per time domain. A timer holds the entry of its key, so firing
 * finds the state of the key without a lookup. Timers never change, so what a freeze leaves to be
 * written can be written at any time: which of them waited then follows from their epochs. Timers of
 * keys that are not in memory are brought in before they are due.
 */
import { MillraceError } from '../../core/errors.js';
import type { KeyEntry, Timer } from './key-entry.js';
import { TIMERS_BIT, type KeyTable } from './key-table.js';
import type { InternalTimers, TimeDomain, TimerCallback } from './keyed-state-backend.js';
import { TimerQueue } from './timer-queue.js';

export const TIME_DOMAINS = ['eventTime', 'processingTime'] as const satisfies TimeDomain[];

/** Below this many, timers that came and went are left among the registered ones. */
const GONE_MAX = 1024;

/** The timers of keys that are not in memory. */
export interface AbsentTimers {
  /**
   * Brings some keys in, if an absent timer up to a time may come before the first one that is present.
   * @returns whether it has to be asked again
   */
  bringIn(domain: TimeDomain, upTo: number, first: Timer | undefined): boolean;
  /** Timestamp of the earliest one, or of one that is present and no earlier than the first of those. */
  next(domain: TimeDomain): number | undefined;
  /** A timer that has a place among them is gone. */
  gone(timer: Timer): void;
}

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

export class HeapTimers implements InternalTimers {
  readonly #keys: KeyTable;
  readonly #domains: Readonly<Record<TimeDomain, DomainTimers>>;
  #absent: AbsentTimers | undefined;

  constructor(keys: KeyTable) {
    this.#keys = keys;
    this.#domains = {
      eventTime: new DomainTimers('eventTime', keys),
      processingTime: new DomainTimers('processingTime', keys),
    };
  }

  /** Some timers are elsewhere; called before there is any. */
  putOver(absent: AbsentTimers): void {
    this.#absent = absent;
  }

  /** Timers registered or gone since the last freeze that the log has to hear of. */
  get changeCount(): number {
    return TIME_DOMAINS.reduce((sum, domain) => sum + this.#domains[domain].changeCount, 0);
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
    if (timer !== undefined) this.#gone(timer);
  }

  advance(domain: TimeDomain, time: number, callback: TimerCallback, firedMax = Infinity): boolean {
    const timers = this.#domains[domain];
    for (let fired = 0; ; fired++) {
      while (this.#absent?.bringIn(domain, time, timers.queue.peek()) === true);
      const timer = timers.queue.peek();
      if (timer === undefined || timer.timestamp > time) return false;
      if (fired === firedMax) return true;
      this.#keys.setCurrentEntry(timer.entry);
      timers.queue.remove(timer);
      this.#gone(timer);
      callback(timer.timestamp, timer.entry.key, domain);
    }
  }

  next(domain: TimeDomain): number | undefined {
    const present = this.#domains[domain].queue.peek()?.timestamp;
    const absent = this.#absent?.next(domain);
    return present === undefined || (absent !== undefined && absent < present) ? absent : present;
  }

  /** A timer as the cold store has it; its entry is held by it already. */
  load(entry: KeyEntry, domain: TimeDomain, timestamp: number, sequence: number): void {
    const timer = this.#domains[domain].queue.restore(entry, timestamp, sequence, 0);
    if (timer !== undefined) timer.cold = true;
  }

  /** The timers of an entry leave memory. */
  unload(entry: KeyEntry): void {
    while (entry.timers !== undefined)
      this.#domains[entry.timers.domain].queue.remove(entry.timers);
  }

  /** A timer of the current key as the log has it, in its old place among equal timestamps. */
  restore(domain: TimeDomain, timestamp: number, sequence: number): void {
    this.#domains[domain].restore(timestamp, sequence);
  }

  /** A timer of the current key that the log says is gone. */
  restoreRemoved(domain: TimeDomain, timestamp: number): void {
    const entry = this.#keys.current;
    if (entry === undefined) return;
    const timer = this.#domains[domain].queue.delete(entry, timestamp);
    if (timer === undefined) return;
    if (timer.cold) this.#absent?.gone(timer);
    this.#keys.outdate(entry);
    this.#keys.release(entry);
  }

  #gone(timer: Timer): void {
    if (timer.cold) this.#absent?.gone(timer);
    this.#domains[timer.domain].gone(timer);
  }

  /** What changed in this epoch; called when it ends. @param whole counts all timers as registered in it */
  takeChanges(whole: boolean): readonly TimerChanges[] {
    return TIME_DOMAINS.map((domain) => ({
      domain,
      ...this.#domains[domain].takeChanges(whole),
      earliest: this.next(domain),
    }));
  }
}

class DomainTimers {
  readonly queue: TimerQueue;
  readonly #keys: KeyTable;
  #registered: Timer[] = [];
  #removed: Timer[] = [];
  /** How many of the registered ones are gone. */
  #goneCount = 0;

  constructor(domain: TimeDomain, keys: KeyTable) {
    this.queue = new TimerQueue(domain);
    this.#keys = keys;
  }

  get changeCount(): number {
    return this.#registered.length + this.#removed.length;
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
    if (timer === undefined) return;
    this.#keys.hold(entry);
    this.#keys.outdate(entry);
  }

  /** A timer was taken out of the queue. */
  gone(timer: Timer): void {
    timer.goneIn = this.#keys.epoch;
    if (timer.epoch < timer.goneIn) this.#removed.push(timer);
    else this.#forget();
    this.#keys.outdate(timer.entry);
    this.#keys.release(timer.entry);
  }

  takeChanges(whole: boolean): Pick<TimerChanges, 'registered' | 'removed'> {
    const registered = whole ? this.queue.all() : this.#registered;
    const changes = { registered, removed: this.#removed };
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
