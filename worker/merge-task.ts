/** What the merge thread is asked and what it answers; all of it is cloned. */
import type { SerializedError } from '../core/errors.js';
import type { LogRun, MergeRequest } from './state/run-services.js';

export interface MergeTask {
  /** Of the slot's runs. */
  readonly folder: string;
  readonly request: MergeRequest;
}

export type MergeReply = { readonly runs: readonly LogRun[] } | { readonly error: SerializedError };
