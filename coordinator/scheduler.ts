/**
 * The scheduler: which worker's slots an attempt gets. All or nothing, in the order of asking; a
 * request that can't be met waits for workers, but only so long. A slot is taken from the grant
 * until its worker reports it released or is lost. It must never hand a slot out twice.
 */
import type { Clock } from '../core/clock.js';
import { invariant, MillraceError } from '../core/errors.js';
import { COORDINATOR_LIMITS } from './limits.js';
import type { WorkerDescription } from './worker-registry.js';

/** `spread`: the worker with the most free slots first. `fill`: the one with the fewest. */
export type Placement = 'spread' | 'fill';

export interface SlotLocation {
  readonly workerId: string;
  readonly dataAddress: string;
}

export interface SlotRequest {
  readonly jobId: string;
  readonly jobName: string;
  readonly attempt: number;
  readonly count: number;
  readonly timeoutMs: number;
  /** Called once, unless the request is withdrawn: the slots by slice. */
  readonly granted: (slots: readonly SlotLocation[]) => void;
  readonly failed: (error: MillraceError) => void;
}

interface WorkerSlots {
  readonly worker: WorkerDescription;
  /** `jobId/attempt/slice` of what we have placed there. */
  readonly taken: Set<string>;
  /** Slots that attempts of an earlier time still hold. */
  foreign: number;
}

interface Waiting {
  readonly request: SlotRequest;
  readonly cancelTimer: () => void;
}

export class Scheduler {
  readonly #clock: Clock;
  readonly #placement: Placement;
  readonly #workers = new Map<string, WorkerSlots>();
  #waiting: Waiting[] = [];

  constructor(clock: Clock, placement: Placement) {
    this.#clock = clock;
    this.#placement = placement;
  }

  get slotsTotal(): number {
    return [...this.#workers.values()].reduce((sum, { worker }) => sum + worker.slots, 0);
  }

  get slotsFree(): number {
    return [...this.#workers.values()].reduce((sum, slots) => sum + freeOf(slots), 0);
  }

  /** Free slots of one worker; 0 when it isn't ready. */
  freeSlotsOf(workerId: string): number {
    const slots = this.#workers.get(workerId);
    return slots === undefined ? 0 : freeOf(slots);
  }

  addWorker(worker: WorkerDescription, freeSlots: number): void {
    this.#workers.set(worker.workerId, {
      worker,
      taken: new Set(),
      foreign: worker.slots - freeSlots,
    });
    this.#grant();
  }

  removeWorker(workerId: string): void {
    this.#workers.delete(workerId);
  }

  request(request: SlotRequest): void {
    if (this.#waiting.length >= COORDINATOR_LIMITS.slotRequestsMax) {
      request.failed(this.#notEnough(request, 'too many requests wait already'));
      return;
    }
    const cancelTimer = this.#clock.setTimer(request.timeoutMs, () => {
      this.#waiting = this.#waiting.filter((waiting) => waiting.request !== request);
      request.failed(this.#notEnough(request, `none came within ${request.timeoutMs} ms`));
      this.#grant();
    });
    this.#waiting.push({ request, cancelTimer });
    this.#grant();
  }

  /** Withdraws a request that waits; it is answered no more. */
  withdraw(jobId: string, attempt: number): void {
    this.#waiting = this.#waiting.filter(({ request, cancelTimer }) => {
      if (request.jobId !== jobId || request.attempt !== attempt) return true;
      cancelTimer();
      return false;
    });
    this.#grant();
  }

  /** The worker has told that the slot's thread is gone, or the slot was never deployed to. */
  release(workerId: string, jobId: string, attempt: number, slice: number): void {
    const slots = this.#workers.get(workerId);
    if (slots === undefined) return;
    if (!slots.taken.delete(keyOf(jobId, attempt, slice))) {
      slots.foreign = Math.max(0, slots.foreign - 1);
    }
    this.#grant();
  }

  close(): void {
    for (const { cancelTimer } of this.#waiting) cancelTimer();
    this.#waiting = [];
  }

  /** Strictly in order: a large job that waits must not starve behind small ones. */
  #grant(): void {
    for (;;) {
      const first = this.#waiting[0];
      if (first === undefined || first.request.count > this.slotsFree) return;
      this.#waiting.shift();
      first.cancelTimer();
      first.request.granted(this.#take(first.request));
    }
  }

  #take({ jobId, attempt, count }: SlotRequest): readonly SlotLocation[] {
    const taken: SlotLocation[] = [];
    for (let slice = 0; slice < count; slice++) {
      const slots = this.#choose();
      slots.taken.add(keyOf(jobId, attempt, slice));
      taken.push({ workerId: slots.worker.workerId, dataAddress: slots.worker.dataAddress });
    }
    return taken;
  }

  #choose(): WorkerSlots {
    const sign = this.#placement === 'spread' ? -1 : 1;
    const [chosen] = [...this.#workers.values()]
      .filter((slots) => freeOf(slots) > 0)
      .sort(
        (left, right) =>
          sign * (freeOf(left) - freeOf(right)) ||
          (left.worker.workerId < right.worker.workerId ? -1 : 1),
      );
    invariant(chosen !== undefined, 'a grant is made only when enough slots are free');
    return chosen;
  }

  #notEnough(request: SlotRequest, why: string): MillraceError {
    return new MillraceError(
      'NOT_ENOUGH_SLOTS',
      `job "${request.jobName}" needs ${request.count} slots, but ${this.slotsFree} of the ` +
        `cluster's ${this.slotsTotal} are free (${why}); start more workers ` +
        "('millrace worker --slots N'), end another job, or submit with a lower --parallelism",
    );
  }
}

function freeOf({ worker, taken, foreign }: WorkerSlots): number {
  return Math.max(0, worker.slots - taken.size - foreign);
}

function keyOf(jobId: string, attempt: number, slice: number): string {
  return `${jobId}/${attempt}/${slice}`;
}
