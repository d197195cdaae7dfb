/** A million keys whose first checkpoint comes after all of them have. */
import { job } from 'millrace';
import { checkpointParams, checkpointPipeline } from './checkpoint-pipeline.js';

export default job(
  'bench-checkpoint',
  {
    checkpoint: { intervalMs: 20_000, timeoutMs: 60_000 },
    restart: { kind: 'fixedDelay', attempts: 3, delayMs: 10 },
    params: checkpointParams,
  },
  checkpointPipeline,
);
