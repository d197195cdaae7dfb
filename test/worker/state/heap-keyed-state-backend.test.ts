import { HeapKeyedStateBackend } from '../../../worker/state/heap-keyed-state-backend.js';
import { RunBuffers } from '../../../worker/state/run-buffers.js';
import { InThreadMerger } from '../../../worker/state/run-merge.js';
import { keyedStateBackendContract } from './keyed-state-backend-contract.js';

// Merges hold no more than a chunk at a time; those of other tests all of a bucket.
keyedStateBackendContract((options) => {
  const { storage, nextTurn } = options.runs;
  const merger = new InThreadMerger(storage, nextTurn, new RunBuffers(), 1);
  return new HeapKeyedStateBackend({ ...options, runs: { ...options.runs, merger } });
});
