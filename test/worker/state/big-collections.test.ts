/** The contract of keyed state where every collection of two elements is a big one. */
import { HeapKeyedStateBackend } from '../../../worker/state/heap-keyed-state-backend.js';
import { coldBelow } from './cold-below.js';
import { DatabaseModel } from './cold/database-model.js';
import { keyedStateBackendContract } from './keyed-state-backend-contract.js';

keyedStateBackendContract(
  (options) =>
    new HeapKeyedStateBackend({
      ...options,
      cold: coldBelow(new DatabaseModel(), 300_000),
      collectionBound: { elementsMax: 1, bytesMax: Infinity },
    }),
);
