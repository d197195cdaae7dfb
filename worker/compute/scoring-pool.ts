/**
 * The scoring threads of a worker process, one pool for all of its slots and jobs. The pool hands
 * a thread one batch at a time and starts its deadline when the thread says that the call began,
 * so neither a queue nor the loading of a model counts against it. A call that hangs costs its
 * thread, never the batches of others. It must never see records or user functions.
 */
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { Piscina } from 'piscina';
import type { Clock } from '../../core/clock.js';
import { deserializeError, MillraceError } from '../../core/errors.js';
import { ownChunk } from './own-chunk.js';
import type { ScoringRequest, ScoringService } from './scoring-service.js';
import { isScoringStarted, type ScoringReply, type ScoringTask } from './scoring-task.js';

export interface ScoringPoolOptions {
  readonly clock: Clock;
  /** Threads at most; the number of cores by default. */
  readonly threadsMax?: number;
  /** Batches that may wait for a thread. */
  readonly queueMax?: number;
  /** For starting a thread and loading the user's module, ms. */
  readonly loadTimeoutMs?: number;
  /** How long a thread without work is kept, ms. */
  readonly idleTimeoutMs?: number;
  /** Told of an error that a module left behind in a thread after its batch was done. */
  readonly onThreadError?: (error: unknown) => void;
}

/** Several times what the slots of one worker keep in flight; beyond it a caller ignores its bound. */
const QUEUE_MAX = 1024;
const LOAD_TIMEOUT_MS = 60_000;
const IDLE_TIMEOUT_MS = 30_000;

interface Waiting {
  readonly request: ScoringRequest;
  readonly resolve: (chunk: Uint8Array) => void;
  readonly reject: (error: MillraceError) => void;
}

export class ScoringPool implements ScoringService {
  readonly #clock: Clock;
  readonly #threadsMax: number;
  readonly #queueMax: number;
  readonly #loadTimeoutMs: number;
  readonly #threads: Piscina<ScoringTask, ScoringReply>;
  readonly #queue: Waiting[] = [];
  /** What to do when a running batch's call begins, by its id. */
  readonly #onStarted = new Map<number, () => void>();
  #running = 0;
  #nextId = 0;
  #closed = false;

  constructor(options: ScoringPoolOptions) {
    this.#clock = options.clock;
    this.#threadsMax = options.threadsMax ?? availableParallelism();
    this.#queueMax = options.queueMax ?? QUEUE_MAX;
    this.#loadTimeoutMs = options.loadTimeoutMs ?? LOAD_TIMEOUT_MS;
    this.#threads = new Piscina<ScoringTask, ScoringReply>({
      filename: fileURLToPath(new URL('scoring-thread.js', import.meta.url)),
      minThreads: 0,
      maxThreads: this.#threadsMax,
      maxQueue: this.#threadsMax,
      idleTimeout: options.idleTimeoutMs ?? IDLE_TIMEOUT_MS,
      recordTiming: false,
    });
    this.#threads.on('message', (message: unknown) => {
      if (isScoringStarted(message)) this.#onStarted.get(message.scoringStarted)?.();
    });
    this.#threads.on('error', (error: unknown) => options.onThreadError?.(error));
  }

  /** Threads at most, for metrics. */
  get threadsMax(): number {
    return this.#threadsMax;
  }

  /** Batches in threads and before them, for metrics. */
  get pending(): number {
    return this.#running + this.#queue.length;
  }

  score(request: ScoringRequest): Promise<Uint8Array> {
    if (this.#closed) return Promise.reject(closedError());
    if (this.#queue.length >= this.#queueMax) {
      return Promise.reject(
        new MillraceError(
          'SCORE_FAILED',
          `${String(this.#queueMax)} batches wait for a scoring thread already; lower the capacity of the scoring operators`,
        ),
      );
    }
    return new Promise((resolve, reject) => {
      this.#queue.push({ request, resolve, reject });
      this.#dispatch();
    });
  }

  /** Ends all threads; whatever is not done is rejected with CANCELED. */
  async close(): Promise<void> {
    this.#closed = true;
    for (const { reject } of this.#queue.splice(0)) reject(closedError());
    await this.#threads.destroy();
  }

  #dispatch(): void {
    while (!this.#closed && this.#running < this.#threadsMax) {
      const next = this.#queue.shift();
      if (next === undefined) return;
      this.#running++;
      void this.#run(next.request)
        .then(next.resolve, next.reject)
        .finally(() => {
          this.#running--;
          this.#dispatch();
        });
    }
  }

  async #run(request: ScoringRequest): Promise<Uint8Array> {
    const id = this.#nextId++;
    const abort = new AbortController();
    let late: MillraceError | undefined;
    const deadline = (delayMs: number, error: () => MillraceError): (() => void) =>
      this.#clock.setTimer(delayMs, () => {
        late = error();
        abort.abort();
      });
    let cancelDeadline = deadline(this.#loadTimeoutMs, () =>
      timeout(request, 'was not loaded', this.#loadTimeoutMs),
    );
    this.#onStarted.set(id, () => {
      cancelDeadline();
      cancelDeadline = deadline(request.timeoutMs, () =>
        timeout(request, 'did not return', request.timeoutMs),
      );
    });
    const { modulePath, moduleName, inputSchema, outputSchema } = request;
    const chunk = ownChunk(request.chunk);
    try {
      const reply = await this.#threads.run(
        { id, modulePath, moduleName, inputSchema, outputSchema, chunk },
        { signal: abort.signal, transferList: [chunk.buffer as ArrayBuffer] },
      );
      if (reply instanceof Uint8Array) return reply;
      throw deserializeError(reply);
    } catch (error) {
      throw late ?? this.#threadError(request, error);
    } finally {
      cancelDeadline();
      this.#onStarted.delete(id);
    }
  }

  /** A reply from a thread as it is, else what ended the thread. */
  #threadError(request: ScoringRequest, error: unknown): MillraceError {
    if (error instanceof MillraceError) return error;
    if (this.#closed) return closedError();
    const message = error instanceof Error ? error.message : String(error);
    return new MillraceError(
      'SCORE_FAILED',
      `scoring module '${request.moduleName}' ended its thread: ${message}; it must not exit the process, run out of memory or throw outside of score()`,
      { cause: error },
    );
  }
}

function timeout(request: ScoringRequest, what: string, timeoutMs: number): MillraceError {
  return new MillraceError(
    'SCORE_TIMEOUT',
    `scoring module '${request.moduleName}' ${what} within ${String(timeoutMs)} ms and its thread was ended; find what it waits for, or raise the timeout`,
  );
}

function closedError(): MillraceError {
  return new MillraceError('CANCELED', 'the scoring pool is closed; start the worker again');
}
