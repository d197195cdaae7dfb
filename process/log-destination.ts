/**
 * Where a process's log goes: a file descriptor. A log must never stop the process that writes it:
 * what a full disk refuses is kept and tried again after a pause, and what does not fit into the
 * bounded queue is dropped and counted in the log itself. (The logger's own destination throws such an
 * error into the process, and its exit handler then waits for room for ever.)
 */
import { writeSync } from 'node:fs';
import type { Clock } from '../core/clock.js';

export const LOG_QUEUE_BYTES_MAX = 1024 * 1024;
const RETRY_PAUSE_MS = 500;

export class LogDestination {
  readonly #fd: number;
  readonly #clock: Pick<Clock, 'setTimer'>;
  /** What was refused, the oldest first; a retry is due while there is any. */
  #queue: Buffer[] = [];
  #queuedBytes = 0;
  #dropped = 0;

  constructor(fd: number, clock: Pick<Clock, 'setTimer'>) {
    this.#fd = fd;
    this.#clock = clock;
  }

  /** Takes a line with its line feed; never throws. */
  write(line: string): void {
    const bytes = Buffer.from(line);
    if (this.#queuedBytes + bytes.length > LOG_QUEUE_BYTES_MAX) {
      this.#dropped++;
      return;
    }
    const isFirst = this.#queue.length === 0;
    this.#queue.push(bytes);
    this.#queuedBytes += bytes.length;
    if (isFirst) this.#drain();
  }

  #drain(): void {
    try {
      for (let first = this.#queue[0]; first !== undefined; first = this.#queue[0]) {
        const written = writeSync(this.#fd, first);
        this.#queuedBytes -= written;
        if (written < first.length) this.#queue[0] = first.subarray(written);
        else this.#queue.shift();
      }
    } catch {
      this.#clock.setTimer(RETRY_PAUSE_MS, () => this.#drain());
      return;
    }
    const dropped = this.#dropped;
    if (dropped === 0) return;
    this.#dropped = 0;
    this.write(
      `${JSON.stringify({ level: 40, msg: `${dropped} lines of the log were dropped` })}\n`,
    );
  }
}
