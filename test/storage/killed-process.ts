/** Runs a compiled test program until it has printed its first line, then kills it with SIGKILL. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

/** @param program file name beside this one, such as `lease-holder.js`; returns the killed pid */
export async function runUntilKilled(program: string, args: readonly string[]): Promise<number> {
  const path = fileURLToPath(new URL(program, import.meta.url));
  const child = spawn(process.execPath, [path, ...args], { stdio: ['pipe', 'pipe', 'inherit'] });
  const exited = once(child, 'exit');
  const first = await Promise.race([once(child.stdout, 'data'), exited]);
  if (!Buffer.isBuffer(first[0])) throw new Error(`${program} ended before it was ready`);
  child.kill('SIGKILL');
  await exited;
  if (child.pid === undefined) throw new Error(`${program} did not start`);
  return child.pid;
}
