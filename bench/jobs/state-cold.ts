/** State in RocksDB, with memory for about a quarter of the keys; any key comes as often as any other. */
import { QUARTER_IN_MEMORY, rollingJob } from './rolling-state.js';

export default rollingJob('bench-state-cold', 'uniform', QUARTER_IN_MEMORY);
