/** Windows in RocksDB, with memory enough to keep all of them live. */
import { windowJob } from './window-job.js';

export default windowJob('bench-window-rocksdb', {
  backend: 'rocksdb',
  memoryBytesMax: 1024 * 1024 * 1024,
});
