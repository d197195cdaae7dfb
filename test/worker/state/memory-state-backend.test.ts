import { MemoryStateBackend } from '../../../worker/state/memory-state-backend.js';
import { keyedStateBackendContract } from './keyed-state-backend-contract.js';

keyedStateBackendContract((options) => new MemoryStateBackend(options));
