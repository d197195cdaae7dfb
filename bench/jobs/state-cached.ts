/** State in RocksDB, with memory enough to keep all of it live. */
import { rollingJob } from './rolling-state.js';

export default rollingJob('bench-state-cached', 'cycle', {
  backend: 'rocksdb',
  memoryBytesMax: 1024 * 1024 * 1024,
});
