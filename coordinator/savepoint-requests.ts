/**
 * What became of the savepoints that were asked for of one job, for whoever polls. The latest ones
 * only; completed savepoints are in the meta store besides.
 */
import type { SavepointStatus } from '../api/rest/checkpoint-dto.js';
import type { SerializedError } from '../core/errors.js';

const KEPT_MAX = 100;

export class SavepointRequests {
  readonly #jobId: string;
  readonly #statuses = new Map<string, SavepointStatus>();

  constructor(jobId: string) {
    this.#jobId = jobId;
  }

  asked(savepointId: string): SavepointStatus {
    const [oldest] = this.#statuses.keys();
    if (this.#statuses.size >= KEPT_MAX && oldest !== undefined) this.#statuses.delete(oldest);
    return this.#set(savepointId, 'IN_PROGRESS', null);
  }

  completed(savepointId: string): void {
    this.#set(savepointId, 'COMPLETED', null);
  }

  failed(savepointId: string, failure: SerializedError): void {
    this.#set(savepointId, 'FAILED', failure.message);
  }

  find(savepointId: string): SavepointStatus | undefined {
    return this.#statuses.get(savepointId);
  }

  #set(
    savepointId: string,
    status: SavepointStatus['status'],
    failure: string | null,
  ): SavepointStatus {
    const value = { savepointId, jobId: this.#jobId, status, failure };
    this.#statuses.set(savepointId, value);
    return value;
  }
}
