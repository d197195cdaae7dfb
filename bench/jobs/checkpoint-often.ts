/** A million keys with a checkpoint twice a second. */
import { job } from 'millrace';
import { checkpointParams, checkpointPipeline } from './checkpoint-pipeline.js';

export default job(
  'bench-checkpoint-often',
  { checkpoint: { intervalMs: 500, timeoutMs: 60_000 }, params: checkpointParams },
  checkpointPipeline,
);
