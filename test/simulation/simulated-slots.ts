/**
 * What the simulated coordinator knows of slots: which are free on which worker, which workers are
 * about to leave, and the request that waits. It places at random, and decides nothing.
 */
import type { ExecutionGraphState } from '../../core/execution-protocol.js';
import type { SliceLocation } from '../../core/execution-state.js';
import type { JobResources } from '../../core/scaling-protocol.js';
import type { SeededRandom } from './event-loop.js';

export interface SimulatedSlotRequest {
  readonly attempt: number;
  readonly count: number;
}

export class SimulatedSlots {
  readonly #free = new Map<string, number>();
  readonly #leaving = new Set<string>();
  #changedAtMs = 0;
  request: SimulatedSlotRequest | undefined;

  has(workerId: string): boolean {
    return this.#free.has(workerId);
  }

  add(workerId: string, free: number, nowMs: number): void {
    this.#free.set(workerId, free);
    this.#changedAtMs = nowMs;
  }

  remove(workerId: string, nowMs: number): boolean {
    this.#leaving.delete(workerId);
    this.#changedAtMs = nowMs;
    return this.#free.delete(workerId);
  }

  leave(workerId: string, nowMs: number): void {
    if (!this.#free.has(workerId)) return;
    this.#leaving.add(workerId);
    this.#changedAtMs = nowMs;
  }

  /** One slot of a worker that is here is free again. */
  release(workerId: string, nowMs: number): void {
    const free = this.#free.get(workerId);
    if (free === undefined) return;
    this.#free.set(workerId, free + 1);
    this.#changedAtMs = nowMs;
  }

  /** What the job could have: free slots and those it holds, on workers that stay. */
  resources({ slots }: ExecutionGraphState): JobResources {
    const staying = [...this.#free].filter(([id]) => !this.#leaving.has(id));
    const held = slots.filter(
      ({ workerId, released }) =>
        !released && this.#free.has(workerId) && !this.#leaving.has(workerId),
    );
    return {
      slots: staying.reduce((sum, [, free]) => sum + free, 0) + held.length,
      slotsTotal: this.#free.size,
      leaving: [...this.#leaving],
      changedAtMs: this.#changedAtMs,
    };
  }

  /** The slots of the request that waits, once there are enough. */
  take(random: SeededRandom): readonly SliceLocation[] | undefined {
    if (this.request === undefined) return undefined;
    const free = [...this.#free].flatMap(([id, count]) =>
      this.#leaving.has(id) ? [] : Array.from({ length: count }, () => id),
    );
    if (free.length < this.request.count) return undefined;
    return Array.from({ length: this.request.count }, () => {
      const workerId = random.pick(free);
      free.splice(free.indexOf(workerId), 1);
      this.#free.set(workerId, (this.#free.get(workerId) ?? 0) - 1);
      return { workerId, dataAddress: workerId };
    });
  }
}
