/**
 * What the file system said, in words a user can act on. Stands under everything in this room that
 * touches files; must never hide the path or the system's own code.
 */
import { isMillraceError, MillraceError } from '../core/errors.js';

const MEANINGS: Readonly<Record<string, readonly [what: string, remedy: string]>> = {
  ENOSPC: ['no space left on the device', 'free some space or choose another folder'],
  EDQUOT: ['no space left in the disk quota', 'free some space or choose another folder'],
  EIO: ['the device failed to read or write', 'check the disk, then start again'],
  EACCES: ['permission denied', 'grant this user access or choose another folder'],
  EPERM: ['operation not permitted', 'grant this user access or choose another folder'],
  EROFS: ['the file system is read-only', 'choose a folder that can be written'],
  EMFILE: ['too many open files', 'raise the limit of open files (ulimit -n)'],
  ENOTDIR: ['a part of the path is a file, not a folder', 'choose another folder'],
  EEXIST: ['a file stands where a folder should be', 'choose another folder'],
};

/** Whether `error` is a system error with this code, such as ENOENT. */
export function isErrorCode(error: unknown, ...codes: readonly string[]): boolean {
  return error instanceof Error && 'code' in error && codes.includes(String(error.code));
}

/** A MillraceError STORAGE_UNAVAILABLE that names the path, the reason and the remedy. */
export function describeIoError(error: unknown, path: string): MillraceError {
  if (isMillraceError(error)) return error;
  const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown error';
  const [what, remedy] = MEANINGS[code] ?? [
    error instanceof Error ? error.message : String(error),
    'check that the folder exists and can be written',
  ];
  return new MillraceError('STORAGE_UNAVAILABLE', `${path}: ${what} (${code}); ${remedy}`, {
    cause: error,
  });
}
