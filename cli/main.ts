#!/usr/bin/env node
/**
 * The door of the `millrace` command: gives the real process to the program and its exit code back.
 * The only file of the CLI that reads the environment and the terminal, and gives the real clock.
 */
import { systemClock } from '../process/system-clock.js';
import type { CliContext } from './cli-context.js';
import { MALLOC_SETTINGS } from './cluster-process.js';
import { EXIT } from './exit-code.js';
import { runProgram } from './program.js';

let interrupted: AbortSignal | undefined;

/** Commands that ask for it clean up on the first signal; a second one ends them at once. */
function watchSignals(): AbortSignal {
  const controller = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => {
      if (controller.signal.aborted) process.exit(EXIT.interrupted);
      controller.abort();
    });
  }
  return controller.signal;
}

const { env, stdout, stderr } = process;
// The processes that commands start inherit them.
for (const [name, value] of Object.entries(MALLOC_SETTINGS)) env[name] ??= value;
const terminal = stdout.isTTY && env['TERM'] !== 'dumb' ? stdout : undefined;

const context: CliContext = {
  workingFolder: process.cwd(),
  defaultCluster: env['MILLRACE_CLUSTER'] === '' ? undefined : env['MILLRACE_CLUSTER'],
  environment: env,
  terminal,
  color: terminal !== undefined && (env['NO_COLOR'] ?? '') === '',
  clock: systemClock,
  get interrupted() {
    return (interrupted ??= watchSignals());
  },
  print: (text) => stdout.write(text),
  note: (text) => stderr.write(text),
};

// `millrace jobs | head -1` closes the pipe early; that is no error.
stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(EXIT.done);
  throw error;
});

const exitCode = await runProgram(process.argv.slice(2), context);
if (exitCode !== undefined) process.exitCode = exitCode;
