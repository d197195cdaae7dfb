/** Totals by window over the results of all keys: a window that fired holds exactly its records. */
import { t, type Infer } from 'millrace';
import type { Tally } from './tally-sink.js';

export const UserTotal = t.record({
  user_id: t.string,
  start: t.timestamp,
  count: t.float64,
  sum: t.float64,
});
export type UserTotal = Infer<typeof UserTotal>;

/** Start of a window, records and sum of prices in it. */
export type WindowTotals = readonly (readonly [start: number, count: number, sum: number])[];

export class WindowTally implements Tally<UserTotal> {
  readonly #windows = new Map<number, { count: number; sum: number }>();

  add({ start, count, sum }: UserTotal): void {
    const window = this.#windows.get(start);
    if (window === undefined) this.#windows.set(start, { count, sum });
    else {
      window.count += count;
      window.sum += sum;
    }
  }

  cut(): WindowTotals {
    const totals = [...this.#windows].map(
      ([start, { count, sum }]) => [start, count, sum] as const,
    );
    this.#windows.clear();
    return totals;
  }
}
