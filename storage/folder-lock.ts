/**
 * One process at a time in a folder. Each process announces itself by a file whose name holds its
 * identity, then looks for others: two that announce at once both see each other, so at most one
 * stays. Announcements of dead processes are removed, also after kill -9 and when a pid was reused.
 * Must never remove the announcement of a process that may be alive.
 */
import { closeSync, openSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { invariant, MillraceError } from '../core/errors.js';
import { describeIoError, isErrorCode } from './io-error.js';
import type { ProcessIdentity } from './process-identity.js';
import {
  formatProcessIdentity,
  identifyProcess,
  isProcessAlive,
  parseProcessIdentity,
} from './process-identity.js';

const PREFIX = 'lock-';

/** A held folder. */
export interface FolderLock {
  release(): void;
}

/**
 * @throws MillraceError STORAGE_LOCKED (user, never retried) naming the folder and the pid that
 *   holds it; STORAGE_UNAVAILABLE if the folder can't be written
 */
export function lockFolder(folder: string): FolderLock {
  const self = identifyProcess(process.pid);
  invariant(self !== undefined, 'a process can identify itself');
  const name = PREFIX + formatProcessIdentity(self);
  const path = join(folder, name);
  announce(folder, path, self);
  for (const other of readdirSync(folder)) {
    if (other === name || !other.startsWith(PREFIX)) continue;
    const owner = parseProcessIdentity(other.slice(PREFIX.length));
    if (owner === undefined) continue;
    if (isProcessAlive(owner)) {
      rmSync(path, { force: true });
      throw locked(folder, other, owner);
    }
    rmSync(join(folder, other), { force: true });
  }
  return {
    release: () => {
      rmSync(path, { force: true });
    },
  };
}

function announce(folder: string, path: string, self: ProcessIdentity): void {
  try {
    closeSync(openSync(path, 'wx'));
  } catch (error) {
    // The name is unique to this process, so it is this process that holds the folder already.
    if (isErrorCode(error, 'EEXIST')) throw locked(folder, path, self);
    throw describeIoError(error, folder);
  }
}

function locked(folder: string, lockFile: string, owner: ProcessIdentity): MillraceError {
  const here = identifyProcess(process.pid)?.host === owner.host;
  const remedy = here
    ? `stop that process, or give this one another data folder`
    : `if that machine is gone for good, delete the file ${lockFile}; ` +
      `else give this one another data folder`;
  return new MillraceError(
    'STORAGE_LOCKED',
    `the folder ${folder} is in use by process ${owner.pid}` +
      `${here ? '' : ` on ${owner.host}`}; ${remedy}`,
  );
}
