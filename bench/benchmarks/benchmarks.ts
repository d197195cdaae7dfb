/** All benchmarks, in the order in which they run. */
import type { Benchmark } from '../measurement.js';
import { backpressure } from './backpressure.js';
import { checkpoint } from './checkpoint.js';
import { exchange } from './exchange.js';
import { idle } from './idle.js';
import { latency } from './latency.js';
import { recovery } from './recovery.js';
import { stateBenchmarks } from './state.js';
import { unaligned } from './unaligned.js';
import { window } from './window.js';

export const BENCHMARKS: readonly Benchmark[] = [
  exchange,
  window,
  ...stateBenchmarks,
  latency,
  recovery,
  idle,
  backpressure,
  unaligned,
  checkpoint,
];
