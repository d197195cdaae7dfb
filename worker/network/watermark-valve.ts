/**
 * The watermark of an operator with several inputs: the minimum over the inputs that are not idle,
 * never going back. It is kept as a tournament, so that one of many inputs is compared with a few others
 * and not with all. It must never look at records.
 */

export class WatermarkValve {
  readonly #watermarks: number[];
  readonly #idle: boolean[];
  #idleCount = 0;
  /**
   * A tree of minimums: the root at 1, the children of i at 2i and 2i + 1, and from #leaves on what each input
   * has to say, Infinity while it is idle.
   */
  readonly #least: number[];
  readonly #leaves: number;
  #current = -Infinity;

  constructor(inputCount: number) {
    this.#watermarks = new Array<number>(inputCount).fill(-Infinity);
    this.#idle = new Array<boolean>(inputCount).fill(false);
    this.#leaves = 1;
    while (this.#leaves < inputCount) this.#leaves *= 2;
    this.#least = new Array<number>(this.#leaves * 2).fill(Infinity);
    for (let input = 0; input < inputCount; input++) this.#settle(input);
  }

  get current(): number {
    return this.#current;
  }

  /** The last watermark of one input; -Infinity before the first. */
  watermarkOf(input: number): number {
    return this.#watermarks[input] ?? -Infinity;
  }

  /** True when every input is idle. */
  get isIdle(): boolean {
    return this.#idleCount === this.#idle.length;
  }

  /** Returns the new combined watermark if it advanced, else undefined. */
  onWatermark(input: number, timestamp: number): number | undefined {
    if (timestamp > this.watermarkOf(input)) this.#watermarks[input] = timestamp;
    return this.onStatus(input, false);
  }

  /** Returns the new combined watermark if the change of status let it advance. */
  onStatus(input: number, idle: boolean): number | undefined {
    if (this.#idle[input] !== idle) {
      this.#idle[input] = idle;
      this.#idleCount += idle ? 1 : -1;
    }
    this.#settle(input);
    const least = this.#least[1] ?? Infinity;
    if (least === Infinity || least <= this.#current) return undefined;
    this.#current = least;
    return least;
  }

  /** Plays an input's matches again, up to the first that ends as before. */
  #settle(input: number): void {
    const least = this.#least;
    let at = this.#leaves + input;
    let winner = this.#idle[input] === true ? Infinity : this.watermarkOf(input);
    while (at >= 1 && least[at] !== winner) {
      least[at] = winner;
      const other = least[at ^ 1] ?? Infinity;
      if (other < winner) winner = other;
      at >>= 1;
    }
  }
}
