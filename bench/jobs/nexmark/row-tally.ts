/**
 * The tally of query results, whatever their order: rows are counted, and their fingerprints added. A
 * query that changes what it has said before says what it takes back, as a changelog does; what is left
 * in the end is the sum of the rows that hold.
 */
import type { Tally } from '../tally-sink.js';

export interface RowSums {
  readonly sum: number;
}

export class RowTally<T> implements Tally<T> {
  readonly #fingerprint: (row: T) => number;
  #sum = 0;

  constructor(fingerprint: (row: T) => number) {
    this.#fingerprint = fingerprint;
  }

  add(row: T): void {
    this.#sum += this.#fingerprint(row);
  }

  cut(): RowSums {
    const sums = { sum: this.#sum };
    this.#sum = 0;
    return sums;
  }
}

/** Joins two whole numbers to one of 32 bits; what is beyond 32 bits of them does not count. */
export function mix(a: number, b: number): number {
  const h = Math.imul((a | 0) ^ Math.imul(b | 0, 0x85ebca6b), 0x9e3779b1);
  return h ^ (h >>> 15);
}

export function mixText(a: number, text: string): number {
  const { length } = text;
  return mix(mix(a, length), text.charCodeAt(length - 1) * 256 + text.charCodeAt(length >> 1));
}

/** 1 to 2^20: so small that the sum of a billion rows is exact, and never nothing. */
export function fingerprintOf(mixed: number): number {
  return (mixed >>> 12) + 1;
}
