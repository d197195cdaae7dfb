/** JSON text in, one-minute windows, JSON text out: each window that fired must hold exactly its records. */
import type { WindowTotals } from '../jobs/window-tally.js';
import type { Benchmark } from '../measurement.js';
import { measureThroughput } from './throughput.js';
import { proveWindows } from './window.js';

export const json: Benchmark = {
  name: 'json',
  description: 'JSON text in, 1-minute windows of 100k users, JSON text out',
  seconds: 20,
  run: (options) =>
    measureThroughput<WindowTotals>(
      { benchmark: 'json', jobFile: 'json.ts', prove: proveWindows },
      options,
    ),
};
