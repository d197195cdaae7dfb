/**
 * What a callback sees of its record and where it puts what it makes of it (journey of a record:
 * operator chain). One object serves all calls of an operator, and its fields change between them; it
 * must never be kept.
 */
import type { OperatorOutput } from './operator.js';

export interface ElementContextOptions<B> {
  readonly output: OperatorOutput;
  /** Processing time, ms since the epoch. */
  readonly now: () => number;
  /** What the callback sees of the state that a broadcast stream keeps. */
  readonly broadcastState: B;
}

export class ElementContext<B> {
  timestamp = -Infinity;
  watermark = -Infinity;
  readonly broadcastState: B;
  readonly #output: OperatorOutput;
  readonly #now: () => number;

  constructor({ output, now, broadcastState }: ElementContextOptions<B>) {
    this.broadcastState = broadcastState;
    this.#output = output;
    this.#now = now;
  }

  get processingTime(): number {
    return this.#now();
  }

  collect(record: unknown): void {
    this.#output.collect(record, this.timestamp);
  }

  sideOutput(name: string, record: unknown): void {
    this.#output.sideOutput(name, record, this.timestamp);
  }
}
