/**
 * One string for all equal ones, where a field repeats few: products, countries, methods of payment.
 * What is kept of them is made once instead of with each update. A field that does not repeat is
 * noticed and costs a counter from then on.
 */
import { ownString } from './own-value.js';

const STRINGS_MAX = 8192;
/** Longer ones rarely repeat, and hashing them costs more. */
const LENGTH_MAX = 64;
/** How often that is decided anew, in strings. */
const WINDOW = 16 * 1024;
/** Windows without a pool after one in which it did not pay. */
const PAUSE_WINDOWS = 31;

export class StringPool {
  readonly #pooled = new Map<string, string>();
  /** Strings until the end of the window. */
  #left = WINDOW;
  #hits = 0;
  #paused = false;

  /** An equal string that keeps no other memory alive; what is no text is returned as it is. */
  own(text: unknown): unknown {
    if (typeof text !== 'string') return text;
    if (--this.#left === 0) this.#endWindow();
    if (this.#paused || text.length > LENGTH_MAX) return ownString(text);
    const pooled = this.#pooled.get(text);
    if (pooled !== undefined) {
      this.#hits++;
      return pooled;
    }
    const owned = ownString(text);
    if (this.#pooled.size < STRINGS_MAX) this.#pooled.set(owned, owned);
    return owned;
  }

  #endWindow(): void {
    const pays = this.#hits * 2 >= WINDOW;
    if (!pays) this.#pooled.clear();
    this.#paused = !this.#paused && !pays;
    this.#left = this.#paused ? WINDOW * PAUSE_WINDOWS : WINDOW;
    this.#hits = 0;
  }
}
