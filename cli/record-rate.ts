/** Records a second, from a count that is looked at now and then and begins anew with each attempt. */
export class RecordRate {
  readonly #intervalMs: number;
  #counted = 0;
  #countedAtMs: number;
  #perSecond = 0;

  /** @param intervalMs least time that a rate is taken over */
  constructor(intervalMs: number, nowMs: number) {
    this.#intervalMs = intervalMs;
    this.#countedAtMs = nowMs;
  }

  /**
   * @param records counted so far in the current attempt
   * @returns records per second, never negative; 0 from a restart until a whole interval was seen
   */
  measure(records: number, nowMs: number): number {
    if (records < this.#counted) {
      this.#perSecond = 0;
    } else {
      const sinceMs = nowMs - this.#countedAtMs;
      if (sinceMs < this.#intervalMs) return this.#perSecond;
      this.#perSecond = ((records - this.#counted) / sinceMs) * 1000;
    }
    this.#counted = records;
    this.#countedAtMs = nowMs;
    return this.#perSecond;
  }
}
