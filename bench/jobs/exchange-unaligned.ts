/** Keyed exchange whose barriers overtake soon. */
import { job } from 'millrace';
import { exchangeParams, exchangePipeline } from './exchange-pipeline.js';

export default job(
  'bench-exchange-unaligned',
  { checkpoint: { intervalMs: 1000, alignmentTimeoutMs: 200 }, params: exchangeParams },
  exchangePipeline,
);
