/** All benchmarks, in the order in which they run. */
import type { Benchmark } from '../measurement.js';
import { backpressure } from './backpressure.js';
import { checkpoint } from './checkpoint.js';
import { coldStart } from './cold-start.js';
import { idle } from './idle.js';
import { json } from './json.js';
import { kafkaJob } from './kafka-job.js';
import { kafkaLatency } from './kafka-latency.js';
import { kafkaRead } from './kafka-read.js';
import { kafkaWrite } from './kafka-write.js';
import { latency } from './latency.js';
import { nexmark } from './nexmark.js';
import { passthrough } from './passthrough.js';
import { recovery } from './recovery.js';
import { scaleOut } from './scale-out.js';
import { stateBenchmarks } from './state.js';
import { stateLarge } from './state-large.js';
import { unaligned } from './unaligned.js';
import { windowBenchmarks } from './window.js';

export const BENCHMARKS: readonly Benchmark[] = [
  passthrough,
  ...windowBenchmarks,
  ...stateBenchmarks,
  stateLarge,
  json,
  ...nexmark,
  latency,
  recovery,
  coldStart,
  scaleOut,
  idle,
  backpressure,
  unaligned,
  checkpoint,
  kafkaRead,
  kafkaWrite,
  kafkaJob,
  kafkaLatency,
];
