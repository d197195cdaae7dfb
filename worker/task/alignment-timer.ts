/**
 * Tells when the barrier of a checkpoint has waited long enough in one task. The time counts from the
 * checkpoint's trigger, so that it passes once and not at every task; where the clocks of two machines
 * differ, it is never longer than the timeout itself.
 */
import type { Clock } from '../../core/clock.js';
import type { CheckpointBarrier } from '../network/buffer.js';

export class AlignmentTimer {
  readonly #clock: Clock;
  readonly #onExpired: () => void;
  /** The newest checkpoint that was announced. */
  #checkpointId = 0;
  #expired: number | undefined;
  #cancel: (() => void) | undefined;

  constructor(clock: Clock, onExpired: () => void) {
    this.#clock = clock;
    this.#onExpired = onExpired;
  }

  /** The checkpoint whose barrier overtakes now; undefined: none. */
  get expired(): number | undefined {
    return this.#expired;
  }

  /** A barrier has come; while the first one of a checkpoint waits, others count only if they must not wait. */
  announce({ checkpointId, triggeredAtMs, alignmentTimeoutMs }: CheckpointBarrier): void {
    if (alignmentTimeoutMs === null || checkpointId < this.#checkpointId) return;
    const isWaiting = this.#cancel !== undefined || this.#expired !== undefined;
    if (isWaiting && checkpointId === this.#checkpointId && alignmentTimeoutMs > 0) return;
    this.stop();
    this.#checkpointId = checkpointId;
    const passedMs = Math.max(0, this.#clock.now() - triggeredAtMs);
    const delayMs = alignmentTimeoutMs - passedMs;
    if (delayMs <= 0) this.#expire();
    else this.#cancel = this.#clock.setTimer(delayMs, () => this.#expire());
  }

  /** The barrier has left the task, or its checkpoint is given up. */
  settle(checkpointId: number): void {
    if (checkpointId >= this.#checkpointId) this.stop();
  }

  stop(): void {
    this.#cancel?.();
    this.#cancel = undefined;
    this.#expired = undefined;
  }

  #expire(): void {
    this.#cancel = undefined;
    this.#expired = this.#checkpointId;
    this.#onExpired();
  }
}
