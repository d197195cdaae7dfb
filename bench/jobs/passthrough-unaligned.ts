/** Keyed exchange whose barriers overtake soon. */
import { job } from 'millrace';
import { passthroughParams, passthroughPipeline } from './passthrough-pipeline.js';

export default job(
  'bench-passthrough-unaligned',
  { checkpoint: { intervalMs: 1000, alignmentTimeoutMs: 200 }, params: passthroughParams },
  passthroughPipeline,
);
