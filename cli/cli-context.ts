/**
 * What a command is given of the outside world. main.ts fills it in from the real process; commands
 * must not reach past it to the environment, the clock or the terminal.
 */
import type { Clock } from '../core/clock.js';

export type Environment = Readonly<Record<string, string | undefined>>;

export interface CliContext {
  readonly workingFolder: string;
  /** Address of a cluster from the environment (MILLRACE_CLUSTER), if set. */
  readonly defaultCluster: string | undefined;
  /** All of it, for checks of what is kept there: a job names its secrets by their variables. */
  readonly environment: Environment;
  /** Standard output where it is a terminal that can redraw. */
  readonly terminal: NodeJS.WriteStream | undefined;
  /** Whether standard output takes colours: a terminal, and NO_COLOR is not set. */
  readonly color: boolean;
  readonly clock: Clock;
  /** Aborted by Ctrl-C and by SIGTERM. */
  readonly interrupted: AbortSignal;
  /** To standard output: what was asked for. */
  print(text: string): void;
  /** To standard error: progress and complaints. */
  note(text: string): void;
}

/** Resolves after `delayMs`, or at once when interrupted. */
export function pause(context: CliContext, delayMs: number): Promise<void> {
  return new Promise((resolve) => {
    if (context.interrupted.aborted) {
      resolve();
      return;
    }
    const done = (): void => {
      cancel();
      context.interrupted.removeEventListener('abort', done);
      resolve();
    };
    const cancel = context.clock.setTimer(delayMs, done);
    context.interrupted.addEventListener('abort', done);
  });
}
