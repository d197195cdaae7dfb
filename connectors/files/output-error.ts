/** What can go wrong with output files, in words that name the path. */
import { open } from 'node:fs/promises';
import { MillraceError } from '../../core/errors.js';
import { errorCode } from './input-error.js';

const REASONS: Readonly<Record<string, readonly [reason: string, remedy: string]>> = {
  ENOSPC: ['no space left on the device', 'free some space'],
  EDQUOT: ['no space left in the quota', 'free some space'],
  EACCES: ['no permission', "let the worker's user write there"],
  EPERM: ['no permission', "let the worker's user write there"],
  EROFS: ['the file system is read-only', 'make it writable, or choose another directory'],
  ENOTDIR: ['a part of the path is a file', 'choose another directory'],
  EEXIST: ['something else is there', 'move it away, or choose another directory'],
  ENOENT: ['it is gone', 'let nothing else change the output directory'],
};

/**
 * The error of a failed system call on an output.
 * @param action what was tried: `write`, `sync`, `rename`
 */
export function outputError(action: string, path: string, cause: unknown): MillraceError {
  const known = REASONS[errorCode(cause) ?? ''];
  const [reason, remedy] = known ?? [
    cause instanceof Error ? cause.message : String(cause),
    'check the file system',
  ];
  return new MillraceError('OUTPUT_FAILED', `can't ${action} ${path}: ${reason}; ${remedy}`, {
    cause,
  });
}

/** Does `step`; a failed system call becomes OUTPUT_FAILED. */
export async function tryOutput<R>(
  action: string,
  path: string,
  step: () => Promise<R>,
): Promise<R> {
  try {
    return await step();
  } catch (error) {
    throw outputError(action, path, error);
  }
}

/** Makes the names in a directory durable. */
export function syncDirectory(path: string): Promise<void> {
  return tryOutput('sync', path, async () => {
    const directory = await open(path, 'r');
    try {
      await directory.sync();
    } finally {
      await directory.close();
    }
  });
}
