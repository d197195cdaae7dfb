/**
 * What RocksDB said, in words a user can act on. It reports every failure as text only, so the text
 * is matched. The database is scratch: whatever is wrong with it, the job's state is in its
 * checkpoints, and the next attempt begins with an empty folder.
 */
import { isMillraceError, MillraceError } from '../../../core/errors.js';

const MEANINGS: readonly (readonly [said: RegExp, what: string, remedy: string])[] = [
  [
    /no space left|disk quota/i,
    'no space left on the device',
    'free some space, or start the worker with --data on a larger disk',
  ],
  [
    /read-only file system/i,
    'the file system is read-only',
    'start the worker with --data in a folder that can be written',
  ],
  [
    /permission denied|operation not permitted/i,
    'permission denied',
    'grant the worker access to it, or start it with another --data',
  ],
  [/too many open files/i, 'too many open files', 'raise the limit of open files (ulimit -n)'],
  [
    /corruption/i,
    'the database is damaged',
    'the job goes on from its latest checkpoint with an empty one; check the disk if this comes back',
  ],
  [/input\/output error/i, 'the device failed to read or write', 'check the disk'],
];

/** A MillraceError STORAGE_UNAVAILABLE that names the folder, the reason and the remedy. */
export function describeDatabaseError(error: unknown, folder: string): MillraceError {
  if (isMillraceError(error)) return error;
  const said = error instanceof Error ? error.message : String(error);
  const [, what, remedy] = MEANINGS.find(([pattern]) => pattern.test(said)) ?? [
    undefined,
    'the state database failed',
    'check that its folder can be written, and the disk',
  ];
  return new MillraceError('STORAGE_UNAVAILABLE', `${folder}: ${what} (${said}); ${remedy}`, {
    cause: error,
  });
}
