/** As state-rocksdb.ts; some keys come much more often than others. */
import { FLINK_SLOT_MEMORY, rollingJob } from './rolling-state.js';

export default rollingJob('bench-state-rocksdb-zipf', 'zipf', FLINK_SLOT_MEMORY);
