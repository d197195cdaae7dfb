/** State in RocksDB, with the memory that Flink's slots have by default: enough to keep all of it live. */
import { FLINK_SLOT_MEMORY, rollingJob } from './rolling-state.js';

export default rollingJob('bench-state-rocksdb', 'uniform', FLINK_SLOT_MEMORY);
