/**
 * Batches on their way to the brokers, in their order: compressed, sent, and sent again after a failure
 * that may pass, until the brokers have them. It knows neither records nor epochs, and who is the
 * producer is settled by whoever connects it.
 */
import type { Clock } from '../../core/clock.js';
import { toMillraceError } from '../../core/errors.js';
import type { BatchSender, OutgoingBatch } from './batch-sender.js';
import type { Compression } from './compression.js';
import { compressed } from './epoch-writer.js';
import { hasKafkaCode, isRetriable } from './kafka-error.js';
import type { SendBacklog } from './send-backlog.js';

export interface BatchStreamOptions {
  readonly compression: Compression;
  /** Is told of all that is not acknowledged, and of what ends the stream. */
  readonly backlog: SendBacklog;
  /** Is told of what brokers have acknowledged. */
  readonly sent: { add(batches: readonly OutgoingBatch[]): void };
  readonly clock: Pick<Clock, 'monotonic' | 'setTimer'>;
  /** How long to go on after a failure that may pass, ms. */
  readonly patienceMs: number;
  /** Called before the first batch is sent, and after each failure. */
  readonly connect: () => Promise<Sender>;
  /** Which failures a new connection heals, beside those that pass by themselves. */
  readonly healed: readonly string[];
}

type Sender = Pick<BatchSender, 'send'>;

/** A batch until the brokers have it. */
interface Unsent extends OutgoingBatch {
  /** The offset of its first record. */
  readonly done: Promise<number>;
  readonly resolve: (baseOffset: number) => void;
  readonly reject: (failure: Error) => void;
}

const RETRY_DELAY_MS = 100;
const RETRY_DELAY_MS_MAX = 1_000;

export class BatchStream {
  readonly #options: BatchStreamOptions;
  /** In their order. */
  readonly #unsent = new Set<Unsent>();
  /** Batches are compressed one after another, to stay in their order. */
  #compressed: Promise<void> = Promise.resolve();
  #sender: Sender | undefined;
  #connecting = false;
  #failingSinceMs: number | undefined;
  #retryDelayMs = RETRY_DELAY_MS;
  #cancelRetry: (() => void) | undefined;
  #stopped = false;

  constructor(options: BatchStreamOptions) {
    this.#options = options;
  }

  /** Connects before there is anything to send. @throws what `connect` throws */
  async open(): Promise<void> {
    this.#sender = await this.#options.connect();
  }

  /**
   * Resolves with the offset of its first record once the brokers have it. The backlog is told of a
   * failure, so that nobody has to wait for this.
   */
  add(outgoing: OutgoingBatch): Promise<number> {
    const { compression, backlog } = this.#options;
    const { length } = outgoing.batch;
    backlog.add(length);
    const sent =
      compression === 'none' ? this.#enqueue(outgoing) : this.#compress(outgoing, compression);
    sent.then(
      () => backlog.remove(length),
      () => undefined,
    );
    return sent;
  }

  /** Once the brokers have all that was added before. @throws what ended the stream */
  async flushed(): Promise<void> {
    await this.#compressed;
    await Promise.all([...this.#unsent].map(({ done }) => done));
    this.#options.backlog.check();
  }

  /** Nothing is sent again from now on. */
  stop(): void {
    this.#stopped = true;
    this.#cancelRetry?.();
  }

  #compress(outgoing: OutgoingBatch, compression: Compression): Promise<number> {
    const compressing = compressed(outgoing.batch, compression);
    return new Promise((resolve, reject) => {
      this.#compressed = Promise.all([this.#compressed, compressing]).then(
        ([, batch]) => {
          this.#enqueue({ ...outgoing, batch }).then(resolve, reject);
        },
        (error: unknown) => {
          reject(this.#fail(error));
        },
      );
    });
  }

  #enqueue(outgoing: OutgoingBatch): Promise<number> {
    const unsent = unsentOf(outgoing);
    this.#unsent.add(unsent);
    if (this.#sender !== undefined) this.#transmit(this.#sender, unsent);
    else if (!this.#connecting) void this.#connect();
    return unsent.done;
  }

  #transmit(sender: Sender, unsent: Unsent): void {
    sender.send(unsent).then(
      (baseOffset) => {
        this.#failingSinceMs = undefined;
        this.#retryDelayMs = RETRY_DELAY_MS;
        this.#unsent.delete(unsent);
        this.#options.sent.add([unsent]);
        unsent.resolve(baseOffset);
      },
      (error: unknown) => {
        // All that were under way fail, and one of them is enough.
        if (this.#sender === sender) this.#retry(error);
      },
    );
  }

  /** After a pause all that is unsent goes out again. */
  #retry(error: unknown): void {
    const { clock, patienceMs, healed } = this.#options;
    this.#sender = undefined;
    // Until the pause is over.
    this.#connecting = true;
    if (this.#stopped) return;
    this.#failingSinceMs ??= clock.monotonic();
    const mayPass = isRetriable(error) || hasKafkaCode(error, ...healed);
    if (!mayPass || clock.monotonic() - this.#failingSinceMs > patienceMs) {
      this.#fail(error);
      return;
    }
    this.#cancelRetry = clock.setTimer(this.#retryDelayMs, () => void this.#connect());
    this.#retryDelayMs = Math.min(RETRY_DELAY_MS_MAX, 2 * this.#retryDelayMs);
  }

  async #connect(): Promise<void> {
    this.#connecting = true;
    try {
      const sender = await this.#options.connect();
      if (this.#stopped) return;
      this.#sender = sender;
      this.#connecting = false;
      for (const unsent of [...this.#unsent]) this.#transmit(sender, unsent);
    } catch (error) {
      this.#retry(error);
    }
  }

  #fail(error: unknown): Error {
    const failure = toMillraceError(error, 'OUTPUT_FAILED');
    this.#options.backlog.fail(failure);
    for (const { reject } of this.#unsent) reject(failure);
    return failure;
  }
}

function unsentOf(outgoing: OutgoingBatch): Unsent {
  let resolve: Unsent['resolve'] = () => undefined;
  let reject: Unsent['reject'] = () => undefined;
  const done = new Promise<number>((...settle) => {
    [resolve, reject] = settle;
  });
  return { ...outgoing, done, resolve, reject };
}
