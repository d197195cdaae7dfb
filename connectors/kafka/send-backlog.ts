/**
 * Bytes that a sink has taken and that are not on their way yet. Above its bound it wants no more
 * records until half of them are; the first failure ends it for good.
 */
export class SendBacklog {
  #bytes = 0;
  #failure: { readonly error: unknown } | undefined;
  #waiting: { readonly promise: Promise<void>; readonly settle: () => void } | undefined;

  constructor(private readonly bytesMax: number) {}

  add(bytes: number): void {
    this.#bytes += bytes;
  }

  remove(bytes: number): void {
    this.#bytes -= bytes;
    if (this.#bytes <= this.bytesMax / 2) this.#settle();
  }

  fail(error: unknown): void {
    this.#failure ??= { error };
    this.#settle();
  }

  /** @throws the failure, if there was one */
  check(): void {
    if (this.#failure !== undefined) throw this.#failure.error;
  }

  /** A promise while there is too much; what failed is told by `check`, at the next record. */
  whenWritable(): Promise<void> | undefined {
    if (this.#failure !== undefined || this.#bytes <= this.bytesMax) return undefined;
    if (this.#waiting === undefined) {
      let settle = (): void => undefined;
      const promise = new Promise<void>((resolve) => {
        settle = resolve;
      });
      this.#waiting = { promise, settle };
    }
    return this.#waiting.promise;
  }

  #settle(): void {
    this.#waiting?.settle();
    this.#waiting = undefined;
  }
}
