/** State in RocksDB, with memory for about a quarter of the keys; some keys come much more often. */
import { QUARTER_IN_MEMORY, rollingJob } from './rolling-state.js';

export default rollingJob('bench-state-cold-zipf', 'zipf', QUARTER_IN_MEMORY);
