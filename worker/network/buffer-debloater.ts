/**
 * Buffer debloating for one channel: keeps so much in flight that the consumer never starves, and no
 * more than it works off within a target time. What is in flight stands before every barrier, so
 * this bounds how long alignment takes when a consumer is slow. It only counts; it holds no buffers.
 */
import {
  CHUNK_RECORDS_MAX,
  CHUNK_RECORDS_MIN,
  IN_FLIGHT_MIN,
  IN_FLIGHT_TARGET_MS,
} from './limits.js';

export class BufferDebloater {
  readonly #monotonic: () => number;
  readonly #windowMax: number;
  /** When each chunk in flight was sent, oldest first. */
  readonly #sentAtMs: number[] = [];
  #window = IN_FLIGHT_MIN;
  #chunkRecords = CHUNK_RECORDS_MIN;
  /** Whether the window held a chunk back since it last changed. */
  #limited = false;

  /** @param windowMax chunks in flight at most */
  constructor(monotonic: () => number, windowMax: number) {
    this.#monotonic = monotonic;
    this.#windowMax = windowMax;
  }

  /** Records at which a chunk is closed. */
  get chunkRecords(): number {
    return this.#chunkRecords;
  }

  get inFlight(): number {
    return this.#sentAtMs.length;
  }

  /** Whether a further chunk may be sent now. */
  admits(): boolean {
    if (this.#sentAtMs.length < this.#window) return true;
    this.#limited = true;
    return false;
  }

  sent(): void {
    this.#sentAtMs.push(this.#monotonic());
  }

  /** The consumer has taken `count` chunks off its queue. */
  consumed(count: number): void {
    const newest = this.#sentAtMs[Math.min(count, this.#sentAtMs.length) - 1];
    this.#sentAtMs.splice(0, count);
    if (newest === undefined) return;
    const takenMs = this.#monotonic() - newest;
    if (takenMs > IN_FLIGHT_TARGET_MS) this.#shrink();
    else if (takenMs < IN_FLIGHT_TARGET_MS / 2 && this.#limited) this.#grow(count);
  }

  #shrink(): void {
    if (this.#window > IN_FLIGHT_MIN) {
      this.#window = Math.max(IN_FLIGHT_MIN, this.#window >> 1);
    } else {
      this.#chunkRecords = Math.max(CHUNK_RECORDS_MIN, this.#chunkRecords >> 1);
    }
    this.#limited = false;
  }

  #grow(count: number): void {
    if (this.#chunkRecords < CHUNK_RECORDS_MAX) this.#chunkRecords *= 2;
    else this.#window = Math.min(this.#windowMax, this.#window + count);
    this.#limited = false;
  }
}
