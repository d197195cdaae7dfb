/**
 * Time and chance as interfaces. Everything below `main.ts` gets these passed in, so that the same
 * code runs under the seeded simulation; it must never read the machine's clock itself.
 */

export interface Clock {
  /** Wall-clock time in ms since the epoch: for showing and naming, never for timeouts or leases. */
  now(): number;
  /** Milliseconds from an arbitrary start that never jumps: for durations, timeouts and leases. */
  monotonic(): number;
  /** Calls `callback` once after `delayMs`; the returned function cancels it. */
  setTimer(delayMs: number, callback: () => void): () => void;
}

export interface Random {
  /** Uniform in [0, 1). */
  next(): number;
  /** A new identifier that no other call returns: lower-case hex, 16 digits. */
  id(): string;
}
