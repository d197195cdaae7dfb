/** What can be wrong with an input file, in words that name it by its absolute path. */
import { resolve } from 'node:path';
import { isMillraceError, MillraceError } from '../../core/errors.js';
import { START_WITHOUT_STATE } from '../without-state.js';

/** The error of a failed system call on an input; one with a code of ours stays as it is. */
export function inputError(path: string, cause: unknown): MillraceError {
  if (isMillraceError(cause)) return cause;
  const code = errorCode(cause);
  const file = resolve(path);
  switch (code) {
    case 'ENOENT':
    case 'ENOTDIR':
      return new MillraceError('INPUT_MISSING', `no file at ${file}; correct the path`, { cause });
    case 'EACCES':
    case 'EPERM':
      return new MillraceError(
        'INPUT_INVALID',
        `no permission to read ${file}; let the worker's user read it`,
        { cause },
      );
    default: {
      const reason = cause instanceof Error ? cause.message : String(cause);
      return new MillraceError(
        'INPUT_INVALID',
        `can't read ${file} (${reason}); check the file and its file system`,
        { cause },
      );
    }
  }
}

/** A file that no longer holds what was read of it. */
export function changedFile(path: string, position: number, what: string): MillraceError {
  return new MillraceError(
    'INPUT_INVALID',
    `${resolve(path)} ${what} while it was read (up to byte ${String(position)}); ` +
      `put the original file back (files may only grow), or ${START_WITHOUT_STATE}`,
  );
}

/** Nothing to read where the job looks. */
export function noFiles(path: string, what: string): MillraceError {
  return new MillraceError(
    'INPUT_MISSING',
    `${what} ${resolve(path)} has no files to read (names that begin with "." or "_" don't count); ` +
      'correct the path, or put a file there',
  );
}

/** The `code` of a system error. */
export function errorCode(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null || !('code' in error)) return undefined;
  return typeof error.code === 'string' ? error.code : undefined;
}
