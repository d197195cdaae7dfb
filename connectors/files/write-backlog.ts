/**
 * Bytes that a writer has queued and not written. Above its bound the writer wants no more records
 * until half of it is written.
 */
export class WriteBacklog {
  readonly #bytesMax: number;
  #bytes = 0;
  #failure: Error | undefined;
  #waiting: { promise: Promise<void>; settle: (failure?: Error) => void } | undefined;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  add(bytes: number): void {
    this.#bytes += bytes;
  }

  remove(bytes: number): void {
    this.#bytes -= bytes;
    if (this.#bytes <= this.#bytesMax / 2) this.#settle();
  }

  /** The first failure is kept: nothing can be written any more. */
  fail(failure: Error): void {
    this.#failure ??= failure;
    this.#settle();
  }

  /** @throws the failure, if there was one */
  check(): void {
    if (this.#failure !== undefined) throw this.#failure;
  }

  /** A promise while the backlog is above its bound, which rejects when writing fails. */
  whenWritable(): Promise<void> | undefined {
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    if (this.#bytes <= this.#bytesMax) return undefined;
    if (this.#waiting === undefined) {
      let settle: (failure?: Error) => void = () => undefined;
      const promise = new Promise<void>((resolve, reject) => {
        settle = (failure) => {
          if (failure === undefined) resolve();
          else reject(failure);
        };
      });
      this.#waiting = { promise, settle };
    }
    return this.#waiting.promise;
  }

  #settle(): void {
    const waiting = this.#waiting;
    this.#waiting = undefined;
    waiting?.settle(this.#failure);
  }
}
