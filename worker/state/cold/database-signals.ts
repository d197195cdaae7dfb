/**
 * The numbers that a slot's thread and its state thread share: the slot's thread waits on them, so
 * that it needs no event loop to see that an answer is there, a write is done or the other is gone.
 */

const EVENTS = 0;
const WRITES_DONE = 1;
const STATUS = 2;
const SIGNALS = 3;

const RUNNING = 0;
const FAILED = 1;
const ENDED = 2;

/** The shared numbers; each side makes one over the same memory. */
export class DatabaseSignals {
  readonly #numbers: Int32Array<SharedArrayBuffer>;

  constructor(readonly memory = new SharedArrayBuffer(SIGNALS * Int32Array.BYTES_PER_ELEMENT)) {
    this.#numbers = new Int32Array(memory);
  }

  /** Changes with every answer, every finished write and the end. */
  get events(): number {
    return Atomics.load(this.#numbers, EVENTS);
  }

  /** Sequence number of the last write that is done. */
  get writesDone(): number {
    return Atomics.load(this.#numbers, WRITES_DONE);
  }

  /** Whether a write has failed: the next answer says why. */
  get failed(): boolean {
    return Atomics.load(this.#numbers, STATUS) === FAILED;
  }

  /** Whether the state thread is gone. */
  get ended(): boolean {
    return Atomics.load(this.#numbers, STATUS) === ENDED;
  }

  /** Blocks until `events` is no longer what it was, at most so long. */
  wait(events: number, timeoutMs: number): void {
    Atomics.wait(this.#numbers, EVENTS, events, timeoutMs);
  }

  answered(): void {
    Atomics.add(this.#numbers, EVENTS, 1);
    Atomics.notify(this.#numbers, EVENTS);
  }

  wrote(sequence: number): void {
    Atomics.store(this.#numbers, WRITES_DONE, sequence);
    this.answered();
  }

  fail(): void {
    Atomics.compareExchange(this.#numbers, STATUS, RUNNING, FAILED);
  }

  end(): void {
    Atomics.store(this.#numbers, STATUS, ENDED);
    this.answered();
  }
}

/** Sequence numbers wrap, and no two that are compared lie 2^31 apart. */
export function isAfter(sequence: number, other: number): boolean {
  return ((sequence - other) | 0) > 0;
}
