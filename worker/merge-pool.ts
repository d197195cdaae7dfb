/**
 * The thread that merges runs for all slots of a worker, so that neither records nor heartbeats wait
 * for it. Merges are in no hurry: one at a time is enough, and the thread ends when it is idle. One that
 * dies of a merge is followed by another for the next merge; it must never take the worker with it.
 */
import { fileURLToPath } from 'node:url';
import { Piscina } from 'piscina';
import { MillraceError, serializeError, toMillraceError } from '../core/errors.js';
import type { MergeReply, MergeTask } from './merge-task.js';
import { MERGE_HEAP_MB, mergeHeapLimits } from './state/serving-heap.js';

const IDLE_TIMEOUT_MS = 10_000;

export class MergePool {
  readonly #heapMb: number;
  readonly #thread: Piscina<MergeTask, MergeReply>;
  /** Each operator of a slot has a merge and a savepoint in here at most. */
  #latest: Promise<unknown> = Promise.resolve();
  /** Of the merge at hand. */
  #failed = new AbortController();
  #closed = false;

  constructor(heapMb = MERGE_HEAP_MB) {
    this.#heapMb = heapMb;
    this.#thread = new Piscina<MergeTask, MergeReply>({
      filename: fileURLToPath(new URL('merge-thread.js', import.meta.url)),
      minThreads: 0,
      maxThreads: 1,
      idleTimeout: IDLE_TIMEOUT_MS,
      recordTiming: false,
      resourceLimits: mergeHeapLimits(heapMb),
    });
    // A thread that dies before it has begun would leave its merge waiting for another.
    this.#thread.on('error', (error) => this.#failed.abort(error));
  }

  /** Never rejects: what went wrong is the reply. */
  merge(task: MergeTask): Promise<MergeReply> {
    // Not queued in the thread's pool, which starts no thread for them when one has died.
    const reply = this.#latest.then(() => this.#merge(task));
    this.#latest = reply;
    return reply;
  }

  /** What is being merged fails, and what waits. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#thread.destroy();
  }

  async #merge(task: MergeTask): Promise<MergeReply> {
    const failed = new AbortController();
    this.#failed = failed;
    try {
      if (this.#closed) throw new Error('the worker ends; the job goes on elsewhere');
      return await this.#thread.run(task, { signal: failed.signal });
    } catch (error) {
      return { error: serializeError(this.#describe(failed.signal.reason ?? error)) };
    }
  }

  #describe(error: unknown): MillraceError {
    const isHeapFull =
      error instanceof Error && 'code' in error && error.code === 'ERR_WORKER_OUT_OF_MEMORY';
    if (!isHeapFull) return toMillraceError(error, 'CHECKPOINT_FAILED');
    return new MillraceError(
      'CHECKPOINT_FAILED',
      `the heap of the merge thread, ${this.#heapMb} MB, is full: a single value, element or row of state is too large for it; keep large values apart, as elements of a map`,
      { cause: error },
    );
  }
}
