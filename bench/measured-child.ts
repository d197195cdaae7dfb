/** Runs work that is measured in a process of its own, with the young generation that a slot has. */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const TIMEOUT_MS = 300_000;

/**
 * @param main a program beside this file that prints one line of JSON
 * @returns what it printed
 */
export async function runMeasuredChild<R>(main: string, args: readonly string[]): Promise<R> {
  const { NODE_OPTIONS: _, ...env } = process.env;
  const file = fileURLToPath(new URL(main, import.meta.url));
  const { stdout } = await promisify(execFile)(
    process.execPath,
    ['--max-semi-space-size=64', '--max-old-space-size=8192', file, ...args],
    { env, timeout: TIMEOUT_MS },
  );
  return JSON.parse(stdout) as R;
}
