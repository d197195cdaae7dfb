/**
 * A clock that goes by the records that are made: a slot makes a million a second by it, however busy the machine
 * is. So buffer timeouts meet as many records in every run, and chunks are as full. It stands still when the
 * records end.
 */
import type { Clock } from '../core/clock.js';

const MS_PER_RECORD = 0.001;

interface Timer {
  readonly dueMs: number;
  readonly callback: () => void;
}

export class RecordClock implements Clock {
  readonly #timers = new Set<Timer>();
  #nowMs = 0;
  #earliestMs = Infinity;
  #msPerRecord = MS_PER_RECORD;

  /** Begins anew, for so many slots that each make a record before the first makes its next. */
  restart(slots: number): void {
    this.#timers.clear();
    this.#earliestMs = Infinity;
    this.#msPerRecord = MS_PER_RECORD / slots;
  }

  /** A record is made. What is due is called soon, not now. */
  tick(): void {
    this.#nowMs += this.#msPerRecord;
    if (this.#nowMs < this.#earliestMs) return;
    this.#earliestMs = Infinity;
    for (const timer of this.#timers) {
      if (timer.dueMs > this.#nowMs) this.#earliestMs = Math.min(this.#earliestMs, timer.dueMs);
      else {
        setImmediate(() => {
          if (this.#timers.delete(timer)) timer.callback();
        });
      }
    }
  }

  now(): number {
    return this.#nowMs;
  }

  monotonic(): number {
    return this.#nowMs;
  }

  setTimer(delayMs: number, callback: () => void): () => void {
    const timer = { dueMs: this.#nowMs + delayMs, callback };
    this.#timers.add(timer);
    this.#earliestMs = Math.min(this.#earliestMs, timer.dueMs);
    return () => this.#timers.delete(timer);
  }
}
