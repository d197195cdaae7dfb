/** Keyed exchange whose barriers never overtake. */
import { job } from 'millrace';
import { exchangeParams, exchangePipeline } from './exchange-pipeline.js';

export default job(
  'bench-exchange-aligned',
  { checkpoint: { intervalMs: 1000, alignmentTimeoutMs: null }, params: exchangeParams },
  exchangePipeline,
);
