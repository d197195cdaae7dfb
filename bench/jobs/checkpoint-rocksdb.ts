/** As checkpoint.ts, with the keys in RocksDB and the memory that a slot has by default. */
import { job } from 'millrace';
import { checkpointParams, checkpointPipeline } from './checkpoint-pipeline.js';

export default job(
  'bench-checkpoint-rocksdb',
  {
    state: { backend: 'rocksdb' },
    checkpoint: { intervalMs: 20_000, timeoutMs: 60_000 },
    restart: { kind: 'fixedDelay', attempts: 3, delayMs: 10 },
    params: checkpointParams,
  },
  checkpointPipeline,
);
