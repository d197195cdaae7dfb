/** The contract of keyed state where a few keys stay in memory. */
import { MemoryStateBackend } from '../../../worker/state/memory-state-backend.js';
import { coldBelow } from './cold-below.js';
import { DatabaseModel } from './cold/database-model.js';
import { keyedStateBackendContract } from './keyed-state-backend-contract.js';

const LIVE_BYTES = 20_000;

keyedStateBackendContract(
  (options) =>
    new MemoryStateBackend({ ...options, cold: coldBelow(new DatabaseModel(), LIVE_BYTES) }),
);
