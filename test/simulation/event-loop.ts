/**
 * Virtual time and seeded chance. One queue of events in order of time drives everything; after each
 * event all promises that it settled are followed to their end, so that a run depends on its seed
 * alone. A process can be paused (its events wait) or killed (its events are dropped).
 */
import type { Clock } from '../../core/clock.js';

/** A small generator (mulberry32): equal seeds give equal sequences. */
export class SeededRandom {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let mixed = this.#state;
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  }

  /** A whole number from `min` to `max`, both included. */
  whole(min: number, max: number): number {
    return min + Math.floor(this.next() * (max - min + 1));
  }

  chance(probability: number): boolean {
    return this.next() < probability;
  }

  pick<T>(choices: readonly T[]): T {
    const chosen = choices[Math.floor(this.next() * choices.length)];
    if (chosen === undefined) throw new Error('nothing to pick from');
    return chosen;
  }
}

/** Something that crashes as a whole. A slot's process ends with its worker's. */
export class SimulatedProcess {
  #state: 'alive' | 'paused' | 'dead' = 'alive';
  readonly #parent: SimulatedProcess | undefined;

  constructor(
    readonly id: string,
    parent?: SimulatedProcess,
  ) {
    this.#parent = parent;
  }

  get state(): 'alive' | 'paused' | 'dead' {
    const above = this.#parent?.state ?? 'alive';
    if (above === 'dead' || this.#state === 'dead') return 'dead';
    return above === 'paused' ? 'paused' : this.#state;
  }

  pause(): void {
    if (this.#state === 'alive') this.#state = 'paused';
  }

  resume(): void {
    if (this.#state === 'paused') this.#state = 'alive';
  }

  kill(): void {
    this.#state = 'dead';
  }
}

interface QueuedEvent {
  readonly atMs: number;
  readonly order: number;
  readonly owner: SimulatedProcess | undefined;
  readonly run: () => void;
}

export class EventLoop {
  readonly random: SeededRandom;
  readonly log: string[] = [];
  nowMs = 0;
  steps = 0;
  readonly #heap: QueuedEvent[] = [];
  readonly #held: QueuedEvent[] = [];
  #order = 0;

  constructor(seed: number) {
    this.random = new SeededRandom(seed);
  }

  note(text: string): void {
    this.log.push(`${this.nowMs.toFixed(2).padStart(9)} ${text}`);
  }

  /** @param owner whose event it is; undefined: the world's, which never crashes */
  schedule(delayMs: number, owner: SimulatedProcess | undefined, run: () => void): void {
    this.#push({ atMs: this.nowMs + delayMs, order: this.#order++, owner, run });
  }

  clockOf(owner: SimulatedProcess): Clock {
    return {
      now: () => 1_700_000_000_000 + Math.floor(this.nowMs),
      monotonic: () => this.nowMs,
      setTimer: (delayMs, callback) => {
        let canceled = false;
        this.schedule(delayMs, owner, () => {
          if (!canceled) callback();
        });
        return () => {
          canceled = true;
        };
      },
    };
  }

  /** Lets a paused process go on with everything that has waited for it, in order. */
  resume(owner: SimulatedProcess): void {
    owner.resume();
    const waiting = this.#held.splice(0);
    for (const event of waiting) this.#push({ ...event, atMs: Math.max(event.atMs, this.nowMs) });
  }

  /** Runs until `isDone`, or until nothing is left or a limit is met. */
  async run(
    isDone: () => boolean,
    limits: { readonly steps: number; readonly ms: number },
    onStep: () => void,
  ): Promise<void> {
    while (!isDone() && this.steps < limits.steps && this.nowMs < limits.ms) {
      const event = this.#pop();
      if (event === undefined) return;
      const state = event.owner?.state ?? 'alive';
      if (state === 'dead') continue;
      if (state === 'paused') {
        this.#held.push(event);
        continue;
      }
      this.nowMs = Math.max(this.nowMs, event.atMs);
      this.steps++;
      event.run();
      await settled();
      onStep();
    }
  }

  #push(event: QueuedEvent): void {
    const heap = this.#heap;
    let at = heap.push(event) - 1;
    while (at > 0) {
      const above = (at - 1) >> 1;
      const parent = heap[above];
      if (parent === undefined || !isBefore(event, parent)) break;
      heap[at] = parent;
      at = above;
    }
    heap[at] = event;
  }

  #pop(): QueuedEvent | undefined {
    const heap = this.#heap;
    const first = heap[0];
    const last = heap.pop();
    if (first === undefined || last === undefined || heap.length === 0) return first;
    let at = 0;
    for (;;) {
      let below = 2 * at + 1;
      let child = heap[below];
      if (child === undefined) break;
      const right = heap[below + 1];
      if (right !== undefined && isBefore(right, child)) {
        below++;
        child = right;
      }
      if (!isBefore(child, last)) break;
      heap[at] = child;
      at = below;
    }
    heap[at] = last;
    return first;
  }
}

function isBefore(left: QueuedEvent, right: QueuedEvent): boolean {
  return left.atMs < right.atMs || (left.atMs === right.atMs && left.order < right.order);
}

/** Resolves after every promise that can go on has gone on. */
function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** Delays at random; what travels on one channel stays in order, channels overtake each other. */
export class SimulatedNetwork {
  readonly #loop: EventLoop;
  readonly #arrivals = new Map<string, number>();

  constructor(loop: EventLoop) {
    this.#loop = loop;
  }

  send(channel: string, to: SimulatedProcess, deliver: () => void): void {
    const { nowMs, random } = this.#loop;
    const delayMs = random.chance(0.05) ? random.next() * 40 : 0.2 + random.next() * 3;
    const atMs = Math.max(nowMs + delayMs, (this.#arrivals.get(channel) ?? 0) + 0.001);
    this.#arrivals.set(channel, atMs);
    this.#loop.schedule(atMs - nowMs, to, deliver);
  }
}
