/**
 * Timers of evicted keys, ordered by domain, timestamp and order of registration. Nothing is read
 * while none is due: a lower bound of the earliest is kept in memory, and reading begins there, so
 * the traces of timers that are gone are never gone through again.
 */
import type { TimeDomain } from '../keyed-state-backend.js';
import type { ColdDatabase } from './cold-database.js';
import { readTimerKey, timerKey, timerRange, type ColdTimer } from './cold-key.js';

/** RocksDB's binding leaks memory for a value of no bytes. */
const NO_CONTENTS = Uint8Array.of(0);

interface DomainTimers {
  readonly code: number;
  count: number;
  /** No timer is earlier. */
  bound: number;
  /** Whether there is a timer at the bound. */
  exact: boolean;
}

export class ColdTimers {
  readonly #database: ColdDatabase;
  readonly #operator: number;
  readonly #domains: Readonly<Record<TimeDomain, DomainTimers>> = {
    eventTime: { code: 0, count: 0, bound: Infinity, exact: false },
    processingTime: { code: 1, count: 0, bound: Infinity, exact: false },
  };

  constructor(database: ColdDatabase, operator: number) {
    this.#database = database;
    this.#operator = operator;
  }

  count(domain: TimeDomain): number {
    return this.#domains[domain].count;
  }

  /** @param timer that is not there yet */
  add(domain: TimeDomain, timer: ColdTimer): void {
    const timers = this.#domains[domain];
    this.#database.put(timerKey(this.#operator, timers.code, timer), NO_CONTENTS);
    if (timers.count === 0 || timer.timestamp <= timers.bound) {
      timers.bound = timer.timestamp;
      timers.exact = true;
    }
    timers.count++;
  }

  /** @param timer that is there */
  remove(domain: TimeDomain, timer: ColdTimer): void {
    const timers = this.#domains[domain];
    this.#database.delete(timerKey(this.#operator, timers.code, timer));
    timers.count--;
    if (timer.timestamp <= timers.bound) timers.exact = false;
  }

  /** Timestamp of the earliest timer. */
  next(domain: TimeDomain): number | undefined {
    const timers = this.#domains[domain];
    if (timers.count > 0 && !timers.exact) this.#first(timers, Infinity, 1);
    return timers.count === 0 ? undefined : timers.bound;
  }

  /** The first timers up to a time, in order of firing; they stay until they are removed. */
  due(domain: TimeDomain, upTo: number, countMax: number): readonly ColdTimer[] {
    const timers = this.#domains[domain];
    if (timers.count === 0 || timers.bound > upTo) return [];
    const due = this.#first(timers, upTo, countMax);
    if (due.length === 0) this.#first(timers, Infinity, 1);
    return due;
  }

  /** Reads from the bound on, and moves the bound to what it finds. */
  #first(timers: DomainTimers, upTo: number, countMax: number): readonly ColdTimer[] {
    const range = timerRange(this.#operator, timers.code, timers.bound, upTo);
    const found = this.#database.page(range, countMax).rows.map(({ key }) => readTimerKey(key));
    const first = found[0];
    if (first !== undefined) {
      timers.bound = first.timestamp;
      timers.exact = true;
    }
    return found;
  }
}
