/**
 * The watermark of an operator with several inputs: the minimum over the inputs that are not idle,
 * never going back. It must never look at records.
 */

export class WatermarkValve {
  readonly #watermarks: number[];
  readonly #idle: boolean[];
  #current = -Infinity;
  #allIdle = false;

  constructor(inputCount: number) {
    this.#watermarks = new Array<number>(inputCount).fill(-Infinity);
    this.#idle = new Array<boolean>(inputCount).fill(false);
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
    return this.#allIdle;
  }

  /** Returns the new combined watermark if it advanced, else undefined. */
  onWatermark(input: number, timestamp: number): number | undefined {
    this.#idle[input] = false;
    this.#allIdle = false;
    if (timestamp > (this.#watermarks[input] ?? -Infinity)) this.#watermarks[input] = timestamp;
    return this.#advance();
  }

  /** Returns the new combined watermark if the change of status let it advance. */
  onStatus(input: number, idle: boolean): number | undefined {
    this.#idle[input] = idle;
    this.#allIdle = this.#idle.every(Boolean);
    return this.#advance();
  }

  #advance(): number | undefined {
    let least = Infinity;
    for (let input = 0; input < this.#watermarks.length; input++) {
      const watermark = this.#watermarks[input] ?? -Infinity;
      if (this.#idle[input] !== true && watermark < least) least = watermark;
    }
    if (least === Infinity || least <= this.#current) return undefined;
    this.#current = least;
    return least;
  }
}
