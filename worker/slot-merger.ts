/**
 * How a slot's thread has its runs merged: it asks the worker's main thread, which has a merge thread
 * for all slots. A slot that ends leaves its questions unanswered.
 */
import { deserializeError } from '../core/errors.js';
import type { MergeReply } from './merge-task.js';
import type { LogRun, MergeRequest, RunMerger } from './state/run-services.js';

interface Waiting {
  readonly resolve: (runs: readonly LogRun[]) => void;
  readonly reject: (error: Error) => void;
}

export class SlotMerger implements RunMerger {
  readonly #ask: (id: number, request: MergeRequest) => void;
  readonly #waiting = new Map<number, Waiting>();
  #nextId = 0;

  constructor(ask: (id: number, request: MergeRequest) => void) {
    this.#ask = ask;
  }

  merge(request: MergeRequest): Promise<readonly LogRun[]> {
    return new Promise((resolve, reject) => {
      const id = this.#nextId++;
      this.#waiting.set(id, { resolve, reject });
      this.#ask(id, request);
    });
  }

  onReply(id: number, reply: MergeReply): void {
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    if ('runs' in reply) waiting?.resolve(reply.runs);
    else waiting?.reject(deserializeError(reply.error));
  }
}
