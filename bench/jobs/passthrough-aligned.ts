/** Keyed exchange whose barriers never overtake. */
import { job } from 'millrace';
import { passthroughParams, passthroughPipeline } from './passthrough-pipeline.js';

export default job(
  'bench-passthrough-aligned',
  { checkpoint: { intervalMs: 1000, alignmentTimeoutMs: null }, params: passthroughParams },
  passthroughPipeline,
);
