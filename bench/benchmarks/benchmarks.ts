/** All benchmarks, in the order in which they run. */
import type { Benchmark } from '../measurement.js';
import { exchange } from './exchange.js';

export const BENCHMARKS: readonly Benchmark[] = [exchange];
