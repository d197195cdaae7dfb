/** The exit codes of the millrace command: scripts rely on them, so the set is closed. */
import { isMillraceError } from '../core/errors.js';

export const EXIT = {
  done: 0,
  /** The job or the request failed. */
  failed: 1,
  /** The command was used wrongly. */
  usage: 2,
  unreachable: 3,
  /** Ended by Ctrl-C before it was done, as shells have it. */
  interrupted: 130,
} as const;

export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

export function exitCodeOf(error: unknown): ExitCode {
  if (!isMillraceError(error)) return EXIT.failed;
  switch (error.code) {
    case 'USAGE':
    case 'PARAM_INVALID':
      return EXIT.usage;
    case 'CANCELED':
      return EXIT.interrupted;
    case 'CLUSTER_UNREACHABLE':
      return EXIT.unreachable;
    default:
      return EXIT.failed;
  }
}
