/**
 * Whether a reader has something to give: what `available` of a source reader promises. Sources tell it
 * of whatever may have changed that; it must never ask for itself, or a reader that waits would cost time.
 */
import { toMillraceError, type ErrorCode, type MillraceError } from '../core/errors.js';

interface Waiting {
  readonly promise: Promise<void>;
  readonly resolve: () => void;
  readonly reject: (error: MillraceError) => void;
}

export class Availability {
  readonly #hasMore: () => boolean;
  #failure: MillraceError | undefined;
  #waiting: Waiting | undefined;

  /** @param hasMore whether the reader is worth polling; whoever reads may have come to its end */
  constructor(hasMore: () => boolean) {
    this.#hasMore = hasMore;
  }

  /** @throws MillraceError whatever reading has failed with first */
  check(): void {
    if (this.#failure !== undefined) throw this.#failure;
  }

  /** Reading has failed; what comes first counts. */
  fail(error: unknown, code?: ErrorCode): void {
    this.#failure ??= toMillraceError(error, code);
    this.changed();
  }

  /** Something happened that may be worth a poll. */
  changed(): void {
    const waiting = this.#waiting;
    if (waiting === undefined) return;
    if (this.#failure !== undefined) waiting.reject(this.#failure);
    else if (this.#hasMore()) waiting.resolve();
    else return;
    this.#waiting = undefined;
  }

  /** Resolves when a poll is worth it. @throws MillraceError whatever reading failed with */
  wait(): Promise<void> {
    if (this.#waiting !== undefined) return this.#waiting.promise;
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    if (this.#hasMore()) return Promise.resolve();
    let resolve = (): void => undefined;
    let reject = (_error: MillraceError): void => undefined;
    const promise = new Promise<void>((onResolve, onReject) => {
      resolve = onResolve;
      reject = onReject;
    });
    this.#waiting = { promise, resolve, reject };
    return promise;
  }
}
