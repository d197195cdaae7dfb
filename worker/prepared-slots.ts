/**
 * Threads that have loaded a bundle and wait for what is deployed to them, so that the next attempt
 * of a job starts sooner. Made on the coordinator's word before the present attempt is ended; one that
 * nothing comes for, or that fails, is ended and forgotten, since nobody relies on it.
 */
import type { Clock } from '../core/clock.js';
import type { SlotListener } from './slot-runner.js';

/** A checkpoint and the end of an attempt take less as a rule; if not, slots start as they always do. */
const KEPT_MS = 60_000;

/** What is kept: a slot runner. */
export interface StartedSlot {
  terminate(): Promise<void>;
}

interface PreparedSlot<S> {
  readonly jobId: string;
  readonly bundleId: string;
  readonly slot: S;
  /** Resolves once the bundle is loaded, or never will be. */
  readonly settled: Promise<void>;
  readonly settle: () => void;
  readonly cancelTimer: () => void;
}

export interface PreparedSlotsOptions<S extends StartedSlot, B> {
  readonly clock: Clock;
  /** No more are kept at once. */
  readonly slotsMax: number;
  readonly start: (bundle: B, listener: SlotListener) => S;
}

export class PreparedSlots<S extends StartedSlot, B> {
  readonly #options: PreparedSlotsOptions<S, B>;
  readonly #slots = new Set<PreparedSlot<S>>();

  constructor(options: PreparedSlotsOptions<S, B>) {
    this.#options = options;
  }

  /** Starts as many as are missing; resolves once all of the job's have loaded the bundle, or failed. */
  async prepare(jobId: string, bundleId: string, bundle: B, count: number): Promise<void> {
    const ofJob = [...this.#slots].filter((known) => isOf(known, jobId, bundleId));
    while (ofJob.length < count && this.#slots.size < this.#options.slotsMax) {
      ofJob.push(this.#start(jobId, bundleId, bundle));
    }
    await Promise.all(ofJob.map(({ settled }) => settled));
  }

  /** One that is ready, or about to be; it is the caller's from here on. */
  take(jobId: string, bundleId: string): S | undefined {
    for (const prepared of this.#slots) {
      if (!isOf(prepared, jobId, bundleId)) continue;
      this.#slots.delete(prepared);
      prepared.cancelTimer();
      prepared.settle();
      return prepared.slot;
    }
    return undefined;
  }

  async close(): Promise<void> {
    await Promise.all([...this.#slots].map((prepared) => this.#discard(prepared)));
  }

  #start(jobId: string, bundleId: string, bundle: B): PreparedSlot<S> {
    const { clock, start } = this.#options;
    const discard = (): void => void this.#discard(prepared);
    let settle = (): void => undefined;
    const settled = new Promise<void>((resolve) => (settle = resolve));
    const slot = start(bundle, {
      onMessage: ({ kind }) => (kind === 'loaded' ? settle() : discard()),
      onReleased: discard,
    });
    const cancelTimer = clock.setTimer(KEPT_MS, discard);
    const prepared = { jobId, bundleId, slot, settled, settle, cancelTimer };
    this.#slots.add(prepared);
    return prepared;
  }

  async #discard(prepared: PreparedSlot<S>): Promise<void> {
    if (!this.#slots.delete(prepared)) return;
    prepared.cancelTimer();
    prepared.settle();
    await prepared.slot.terminate();
  }
}

function isOf(prepared: PreparedSlot<unknown>, jobId: string, bundleId: string): boolean {
  return prepared.jobId === jobId && prepared.bundleId === bundleId;
}
