/** Runs the raw loop of a benchmark in a process of its own, with the young generation that a slot has. */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { RawResult } from './raw-loop-main.js';

const RAW_LOOP_MAIN = fileURLToPath(new URL('./raw-loop-main.js', import.meta.url));
const TIMEOUT_MS = 300_000;

/** @param counts records of each split of the generator */
export async function runRawLoop(benchmark: string, counts: readonly number[]): Promise<RawResult> {
  const { NODE_OPTIONS: _, ...env } = process.env;
  const { stdout } = await promisify(execFile)(
    process.execPath,
    [
      '--max-semi-space-size=64',
      '--max-old-space-size=8192',
      RAW_LOOP_MAIN,
      benchmark,
      JSON.stringify(counts),
    ],
    { env, timeout: TIMEOUT_MS },
  );
  return JSON.parse(stdout) as RawResult;
}
