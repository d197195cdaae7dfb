/**
 * Threads that have loaded a bundle and wait for what is deployed to them, so that the next attempt
 * of a job starts sooner. Made on the coordinator's word before the present attempt is ended; one that
 * nothing comes for, or that fails, is ended and forgotten, since nobody relies on it.
 */
import type { Clock } from '../core/clock.js';
import type { SlotRunner, SlotListener } from './slot-runner.js';

/** A checkpoint and the end of an attempt take less as a rule; if not, slots start as they always do. */
const KEPT_MS = 60_000;

interface PreparedSlot {
  readonly jobId: string;
  readonly bundleId: string;
  readonly slot: SlotRunner;
  readonly cancelTimer: () => void;
}

export interface PreparedSlotsOptions {
  readonly clock: Clock;
  /** No more are kept at once. */
  readonly slotsMax: number;
  readonly start: (bundleFolder: string, listener: SlotListener) => SlotRunner;
}

export class PreparedSlots {
  readonly #options: PreparedSlotsOptions;
  readonly #slots = new Set<PreparedSlot>();

  constructor(options: PreparedSlotsOptions) {
    this.#options = options;
  }

  /** Starts as many as are missing. */
  prepare(jobId: string, bundleId: string, bundleFolder: string, count: number): void {
    const { clock, slotsMax, start } = this.#options;
    let missing = count;
    for (const known of this.#slots) if (isOf(known, jobId, bundleId)) missing--;
    for (; missing > 0 && this.#slots.size < slotsMax; missing--) {
      const discard = (): void => void this.#discard(prepared);
      const prepared: PreparedSlot = {
        jobId,
        bundleId,
        slot: start(bundleFolder, { onMessage: discard, onReleased: discard }),
        cancelTimer: clock.setTimer(KEPT_MS, discard),
      };
      this.#slots.add(prepared);
    }
  }

  /** One that is ready, or about to be; it is the caller's from here on. */
  take(jobId: string, bundleId: string): SlotRunner | undefined {
    for (const prepared of this.#slots) {
      if (!isOf(prepared, jobId, bundleId)) continue;
      this.#slots.delete(prepared);
      prepared.cancelTimer();
      return prepared.slot;
    }
    return undefined;
  }

  async close(): Promise<void> {
    await Promise.all([...this.#slots].map((prepared) => this.#discard(prepared)));
  }

  async #discard(prepared: PreparedSlot): Promise<void> {
    if (!this.#slots.delete(prepared)) return;
    prepared.cancelTimer();
    await prepared.slot.terminate();
  }
}

function isOf(prepared: PreparedSlot, jobId: string, bundleId: string): boolean {
  return prepared.jobId === jobId && prepared.bundleId === bundleId;
}
