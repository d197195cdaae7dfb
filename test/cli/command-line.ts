/** Runs the compiled millrace command as users do: as a process of its own. */
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { ExecutionContext } from 'ava';

export const MILLRACE_MAIN = fileURLToPath(new URL('../../cli/main.js', import.meta.url));

export interface CommandResult {
  readonly exitCode: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface CommandOptions {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
}

export function runMillrace(
  args: readonly string[],
  options: CommandOptions = {},
): Promise<CommandResult> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [MILLRACE_MAIN, ...args], {
      cwd: options.cwd,
      env: { PATH: process.env['PATH'], ...options.env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let stdout = '';
    let stderr = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
    child.once('error', reject);
    child.once('close', (exitCode) => resolve({ exitCode, stdout, stderr }));
  });
}

/** What a person sees of a failure: exit code 1, the message once, and no frame of the engine. */
export function assertToldOnce(t: ExecutionContext, result: CommandResult, message: RegExp): void {
  t.is(result.exitCode, 1, result.stderr);
  t.is(result.stderr.match(new RegExp(message, 'gm'))?.length, 1, result.stderr);
  t.notRegex(result.stderr, /\n\s+at .*(dist|node_modules|node:|anonymous|millrace:)/);
}
