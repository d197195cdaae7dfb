/** A clock that stands still until a test moves it; timers fire in order as it passes them. */
import type { Clock } from '../core/clock.js';

export class ManualClock implements Clock {
  readonly #timers = new Set<{ readonly dueMs: number; readonly callback: () => void }>();
  #nowMs: number;

  /** @param nowMs the wall clock at the start; monotonic time starts at the same number */
  constructor(nowMs = 0) {
    this.#nowMs = nowMs;
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
    return () => this.#timers.delete(timer);
  }

  /** When the next timer is due; undefined when none is set. */
  get nextDueMs(): number | undefined {
    const due = [...this.#timers].map(({ dueMs }) => dueMs);
    return due.length === 0 ? undefined : Math.min(...due);
  }

  advance(ms: number): void {
    const endMs = this.#nowMs + ms;
    for (
      let dueMs = this.nextDueMs;
      dueMs !== undefined && dueMs <= endMs;
      dueMs = this.nextDueMs
    ) {
      this.#nowMs = Math.max(this.#nowMs, dueMs);
      for (const timer of [...this.#timers]) {
        if (timer.dueMs <= this.#nowMs && this.#timers.delete(timer)) timer.callback();
      }
    }
    this.#nowMs = endMs;
  }
}
