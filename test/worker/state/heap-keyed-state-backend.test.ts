import { HeapKeyedStateBackend } from '../../../worker/state/heap-keyed-state-backend.js';
import { keyedStateBackendContract } from './keyed-state-backend-contract.js';

keyedStateBackendContract((options) => new HeapKeyedStateBackend(options));
