/**
 * The thread that merges runs for all slots of a worker, so that neither records nor heartbeats wait
 * for it. Merges are in no hurry: one at a time is enough, and the thread ends when it is idle.
 */
import { fileURLToPath } from 'node:url';
import { Piscina } from 'piscina';
import { serializeError, toMillraceError } from '../core/errors.js';
import type { MergeReply, MergeTask } from './merge-task.js';
import { SERVING_HEAP_LIMITS } from './state/serving-heap.js';

/** Each operator of a slot has one merge in here at most. */
const QUEUE_MAX = 32_768;
const IDLE_TIMEOUT_MS = 10_000;

export class MergePool {
  readonly #thread = new Piscina<MergeTask, MergeReply>({
    filename: fileURLToPath(new URL('merge-thread.js', import.meta.url)),
    minThreads: 0,
    maxThreads: 1,
    maxQueue: QUEUE_MAX,
    idleTimeout: IDLE_TIMEOUT_MS,
    recordTiming: false,
    resourceLimits: SERVING_HEAP_LIMITS,
  });

  /** Never rejects: what went wrong is the reply. */
  async merge(task: MergeTask): Promise<MergeReply> {
    try {
      return await this.#thread.run(task);
    } catch (error) {
      return { error: serializeError(toMillraceError(error, 'CHECKPOINT_FAILED')) };
    }
  }

  async close(): Promise<void> {
    await this.#thread.destroy();
  }
}
