/**
 * Timers whose keys are or were out of memory, ordered by domain, timestamp and order of registration.
 * They are handed out in that order; a bound in memory says how far, so that nothing is read while none
 * is due, and the traces of timers that are gone are not gone through again.
 */
import type { TimeDomain } from '../keyed-state-backend.js';
import { successorOf } from './byte-order.js';
import type { ColdDatabase } from './cold-database.js';
import { readTimerKey, timerKey, timerRange, type ColdTimer } from './cold-key.js';

/** RocksDB's binding leaks memory for a value of no bytes. */
const NO_CONTENTS = Uint8Array.of(0);

/** A place in the order of firing. */
export interface TimerPlace {
  readonly timestamp: number;
  /** Order of registration among equal timestamps. */
  readonly sequence: number;
}

/** Whether one place comes before another in the order of firing. */
export function isEarlier(a: TimerPlace, b: TimerPlace): boolean {
  return a.timestamp < b.timestamp || (a.timestamp === b.timestamp && a.sequence < b.sequence);
}

const AFTER_ALL: TimerPlace = { timestamp: Infinity, sequence: Infinity };

interface DomainTimers {
  readonly code: number;
  count: number;
  /** All timers before it were handed out. */
  bound: TimerPlace;
  /** The same as a key of the database; undefined where no timer is at the bound or was. */
  from: Uint8Array | undefined;
  /** Whether there is a timer at the bound that was not handed out. */
  exact: boolean;
}

export class ColdTimers {
  readonly #database: ColdDatabase;
  readonly #operator: number;
  readonly #domains: Readonly<Record<TimeDomain, DomainTimers>> = {
    eventTime: { code: 0, count: 0, bound: AFTER_ALL, from: undefined, exact: false },
    processingTime: { code: 1, count: 0, bound: AFTER_ALL, from: undefined, exact: false },
  };

  constructor(database: ColdDatabase, operator: number) {
    this.#database = database;
    this.#operator = operator;
  }

  count(domain: TimeDomain): number {
    return this.#domains[domain].count;
  }

  /** All timers before this place were handed out. */
  bound(domain: TimeDomain): TimerPlace {
    return this.#domains[domain].bound;
  }

  /** @param timer that is not there yet */
  add(domain: TimeDomain, timer: ColdTimer): void {
    const timers = this.#domains[domain];
    this.#database.put(timerKey(this.#operator, timers.code, timer), NO_CONTENTS);
    timers.count++;
    this.rewind(domain, timer);
  }

  /** A timer that is there has to be handed out again. */
  rewind(domain: TimeDomain, timer: ColdTimer): void {
    const timers = this.#domains[domain];
    if (isEarlier(timers.bound, timer)) return;
    const key = timerKey(this.#operator, timers.code, timer);
    // Timers of several subtasks of an earlier life may share a place.
    if (!isEarlier(timer, timers.bound) && timers.from !== undefined) {
      if (Buffer.compare(timers.from, key) <= 0) return;
    }
    timers.bound = { timestamp: timer.timestamp, sequence: timer.sequence };
    timers.from = key;
    timers.exact = true;
  }

  /** @param timer that is there */
  remove(domain: TimeDomain, timer: ColdTimer): void {
    const timers = this.#domains[domain];
    this.#database.delete(timerKey(this.#operator, timers.code, timer));
    timers.count--;
    if (!isEarlier(timers.bound, timer)) timers.exact = false;
  }

  /** Timestamp of the earliest timer that was not handed out. */
  next(domain: TimeDomain): number | undefined {
    const timers = this.#domains[domain];
    if (timers.count === 0 || timers.bound === AFTER_ALL) return undefined;
    if (!timers.exact) {
      const [first] = this.#page(timers, Infinity, 1);
      timers.bound = first ?? AFTER_ALL;
      timers.from = first && timerKey(this.#operator, timers.code, first);
      timers.exact = first !== undefined;
    }
    return timers.exact ? timers.bound.timestamp : undefined;
  }

  /** Hands out the first timers up to a time that were not handed out, in order of firing. */
  take(domain: TimeDomain, upTo: number, countMax: number): readonly ColdTimer[] {
    const timers = this.#domains[domain];
    const end = { timestamp: upTo, sequence: Infinity };
    if (timers.count === 0 || !isEarlier(timers.bound, end)) return [];
    const taken = this.#page(timers, upTo, countMax);
    const last = taken.length < countMax ? undefined : taken.at(-1);
    timers.bound = last ?? end;
    timers.from =
      last === undefined ? undefined : successorOf(timerKey(this.#operator, timers.code, last));
    timers.exact = false;
    return taken;
  }

  #page({ code, bound, from }: DomainTimers, upTo: number, countMax: number): ColdTimer[] {
    const range = timerRange(this.#operator, code, bound, upTo);
    const { rows } = this.#database.page({ ...range, from: from ?? range.from }, countMax);
    return rows.map(({ key }) => readTimerKey(key));
  }
}
