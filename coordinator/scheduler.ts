/**
 * The scheduler: which worker's slots an attempt gets. All or nothing, in the order of asking; a
 * request that can't be met waits for workers, but only so long. A slot is taken from the grant
 * until its worker reports it released or is lost. It tells jobs how many slots each could have, and
 * must never hand a slot out twice.
 */
import type { Clock } from '../core/clock.js';
import { invariant, MillraceError } from '../core/errors.js';
import type { JobResources } from '../core/scaling-protocol.js';
import { COORDINATOR_LIMITS } from './limits.js';
import { placeSlices, type Placement } from './slot-placement.js';
import type { WorkerDescription } from './worker-registry.js';

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
  /** Worker by slice that ran it before. */
  readonly preferred: readonly string[];
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
  /** It is about to go: it keeps what it has and gets nothing more. */
  leaving: boolean;
}

interface Waiting {
  readonly request: SlotRequest;
  readonly cancelTimer: () => void;
}

export class Scheduler {
  readonly #clock: Clock;
  readonly #placement: Placement;
  readonly #workers = new Map<string, WorkerSlots>();
  /** Slots that each job holds, by worker: what a job could have is asked after every change. */
  readonly #held = new Map<string, Map<string, number>>();
  #waiting: Waiting[] = [];
  /** Monotonic time at which a worker came or went, or a slot was given back, last. */
  #changedAtMs: number;
  #notifying: 'no' | 'yes' | 'again' = 'no';
  #onChange: () => void = () => undefined;

  constructor(clock: Clock, placement: Placement) {
    this.#clock = clock;
    this.#placement = placement;
    this.#changedAtMs = clock.monotonic();
  }

  get slotsTotal(): number {
    return [...this.#workers.values()].reduce((sum, { worker }) => sum + worker.slots, 0);
  }

  get slotsFree(): number {
    return [...this.#workers.values()].reduce((sum, slots) => sum + freeOf(slots), 0);
  }

  /** Called after whatever may change what a job could have; one listener. */
  onChange(listener: () => void): void {
    this.#onChange = listener;
  }

  /** Free slots of one worker; 0 when it isn't ready. */
  freeSlotsOf(workerId: string): number {
    const slots = this.#workers.get(workerId);
    return slots === undefined ? 0 : freeOf(slots);
  }

  isLeaving(workerId: string): boolean {
    return this.#workers.get(workerId)?.leaving === true;
  }

  /** What a job could have: what it holds and what nobody else waits for, on workers that stay. */
  resourcesOf(jobId: string): JobResources {
    const claimed = this.#waiting.reduce(
      (sum, { request }) => sum + (request.jobId === jobId ? 0 : request.count),
      0,
    );
    let held = 0;
    for (const [workerId, slots] of this.#held.get(jobId) ?? []) {
      if (!this.isLeaving(workerId)) held += slots;
    }
    return {
      slots: held + Math.max(0, this.slotsFree - claimed),
      slotsTotal: this.slotsTotal,
      leaving: [...this.#workers.values()]
        .filter(({ leaving }) => leaving)
        .map(({ worker }) => worker.workerId),
      changedAtMs: this.#changedAtMs,
    };
  }

  /** Where slices of a job's next attempt would go, once its present one has given its slots back. */
  plan(jobId: string, count: number, preferred: readonly string[]): readonly string[] {
    const free = this.#freeFor(jobId);
    const slots = [...free.values()].reduce((sum, each) => sum + each, 0);
    return slots < count ? [] : placeSlices(free, count, preferred, this.#placement);
  }

  addWorker(worker: WorkerDescription, freeSlots: number): void {
    this.#workers.set(worker.workerId, {
      worker,
      taken: new Set(),
      foreign: worker.slots - freeSlots,
      leaving: false,
    });
    this.#slotsCameOrWent();
  }

  removeWorker(workerId: string): void {
    if (!this.#workers.delete(workerId)) return;
    for (const [jobId, held] of this.#held) {
      held.delete(workerId);
      if (held.size === 0) this.#held.delete(jobId);
    }
    this.#slotsCameOrWent();
  }

  /** The worker goes soon: nothing more is placed there. */
  leave(workerId: string): void {
    const slots = this.#workers.get(workerId);
    if (slots === undefined || slots.leaving) return;
    slots.leaving = true;
    this.#slotsCameOrWent();
  }

  request(request: SlotRequest): void {
    if (this.#waiting.length >= COORDINATOR_LIMITS.slotRequestsMax) {
      request.failed(this.#notEnough(request, 'too many requests wait already'));
      return;
    }
    const cancelTimer = this.#clock.setTimer(request.timeoutMs, () => {
      this.#waiting = this.#waiting.filter((waiting) => waiting.request !== request);
      request.failed(this.#notEnough(request, `none came within ${request.timeoutMs} ms`));
      this.#changed();
    });
    this.#waiting.push({ request, cancelTimer });
    this.#changed();
  }

  /** Withdraws a request that waits; it is answered no more. */
  withdraw(jobId: string, attempt: number): void {
    this.#waiting = this.#waiting.filter(({ request, cancelTimer }) => {
      if (request.jobId !== jobId || request.attempt !== attempt) return true;
      cancelTimer();
      return false;
    });
    this.#changed();
  }

  /** The worker has told that the slot's thread is gone, or the slot was never deployed to. */
  release(workerId: string, jobId: string, attempt: number, slice: number): void {
    const slots = this.#workers.get(workerId);
    if (slots === undefined) return;
    if (slots.taken.delete(keyOf(jobId, attempt, slice))) {
      this.#hold(jobId, workerId, -1);
    } else {
      if (slots.foreign === 0) return;
      slots.foreign--;
    }
    this.#slotsCameOrWent();
  }

  close(): void {
    for (const { cancelTimer } of this.#waiting) cancelTimer();
    this.#waiting = [];
    this.#onChange = () => undefined;
  }

  #slotsCameOrWent(): void {
    this.#changedAtMs = this.#clock.monotonic();
    this.#changed();
  }

  /** What the listener does may change things again: it is called until nothing does. */
  #changed(): void {
    this.#grant();
    if (this.#notifying !== 'no') {
      this.#notifying = 'again';
      return;
    }
    try {
      do {
        this.#notifying = 'yes';
        this.#onChange();
      } while (this.#hasChangedAgain());
    } finally {
      this.#notifying = 'no';
    }
  }

  #hasChangedAgain(): boolean {
    return this.#notifying === 'again';
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

  #take({ jobId, attempt, count, preferred }: SlotRequest): readonly SlotLocation[] {
    const free = new Map([...this.#workers].map(([id, slots]) => [id, freeOf(slots)]));
    const placed = placeSlices(free, count, preferred, this.#placement);
    return placed.map((workerId, slice) => {
      const slots = this.#workers.get(workerId);
      invariant(slots !== undefined, 'slices are placed on workers that are here');
      slots.taken.add(keyOf(jobId, attempt, slice));
      this.#hold(jobId, workerId, 1);
      return { workerId, dataAddress: slots.worker.dataAddress };
    });
  }

  #hold(jobId: string, workerId: string, change: 1 | -1): void {
    const held = this.#held.get(jobId) ?? new Map<string, number>();
    const slots = (held.get(workerId) ?? 0) + change;
    if (slots > 0) held.set(workerId, slots);
    else held.delete(workerId);
    if (held.size > 0) this.#held.set(jobId, held);
    else this.#held.delete(jobId);
  }

  /** Slots by worker that are free or the job's own. */
  #freeFor(jobId: string): ReadonlyMap<string, number> {
    const staying = [...this.#workers].filter(([, { leaving }]) => !leaving);
    const held = this.#held.get(jobId);
    return new Map(staying.map(([id, slots]) => [id, freeOf(slots) + (held?.get(id) ?? 0)]));
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

function freeOf({ worker, taken, foreign, leaving }: WorkerSlots): number {
  return leaving ? 0 : Math.max(0, worker.slots - taken.size - foreign);
}

function keyOf(jobId: string, attempt: number, slice: number): string {
  return `${jobId}/${attempt}/${slice}`;
}
