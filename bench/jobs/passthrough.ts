/** Keyed exchange with the engine's own options. */
import { job } from 'millrace';
import { passthroughParams, passthroughPipeline } from './passthrough-pipeline.js';

export default job(
  'bench-passthrough',
  { checkpoint: { intervalMs: 1000 }, params: passthroughParams },
  passthroughPipeline,
);
