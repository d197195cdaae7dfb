/** Runs the raw loop of a benchmark. */
import { runMeasuredChild } from './measured-child.js';
import type { RawResult } from './raw-loop-main.js';

/** @param counts records of each split of the generator */
export function runRawLoop(benchmark: string, counts: readonly number[]): Promise<RawResult> {
  return runMeasuredChild('./raw-loop-main.js', [benchmark, JSON.stringify(counts)]);
}
