/**
 * One step of the check as a child process: a tool that says by its exit code whether all is well. Its
 * output is shown only when it failed. A step must never outlive its time: it is ended and fails.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';

export interface CheckStep {
  readonly name: string;
  /** Program and arguments; `node` stands for the node that runs this. */
  readonly command: readonly [string, ...string[]];
  readonly timeoutMs: number;
  /** Where it runs, if not here. */
  readonly folder?: string;
}

export interface StepResult {
  /** null when a signal ended it, as at its timeout. */
  readonly exitCode: number | null;
  readonly seconds: number;
  /** The last lines that it wrote on either stream. */
  readonly output: readonly string[];
}

const OUTPUT_LINES_MAX = 400;

/**
 * Runs a step to its end.
 * @param onLine is given every line of standard output; without it they are kept as output
 */
export async function runStep(
  step: CheckStep,
  onLine?: (line: string) => void,
): Promise<StepResult> {
  const started = performance.now();
  const [program, ...args] = step.command;
  const child = spawn(program === 'node' ? process.execPath : program, args, {
    ...(step.folder === undefined ? {} : { cwd: step.folder }),
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  // Not spawn's own timeout: it goes on, and keeps this process, after a program that is not there.
  const timeout = setTimeout(() => child.kill('SIGKILL'), step.timeoutMs);
  const output: string[] = [];
  const keep = (line: string): void => {
    output.push(line);
    if (output.length > OUTPUT_LINES_MAX) output.shift();
  };
  createInterface(child.stdout).on('line', onLine ?? keep);
  createInterface(child.stderr).on('line', keep);
  let exitCode: number | null = null;
  try {
    [exitCode] = (await once(child, 'close')) as [number | null];
  } catch (error) {
    keep(`${step.command.join(' ')} could not start: ${String(error)}`);
  } finally {
    clearTimeout(timeout);
  }
  const seconds = (performance.now() - started) / 1000;
  if (exitCode === null) keep(`ended after ${seconds.toFixed(0)} s without an exit code`);
  return { exitCode, seconds, output };
}
