/** Keyed exchange with the engine's own options. */
import { job } from 'millrace';
import { exchangeParams, exchangePipeline } from './exchange-pipeline.js';

export default job(
  'bench-exchange',
  { checkpoint: { intervalMs: 1000 }, params: exchangeParams },
  exchangePipeline,
);
