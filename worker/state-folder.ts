/**
 * The folder under a worker's data folder where its slots keep their runs. Each process has a part of
 * its own, named after it, so that several workers may share a data folder; what processes left that
 * are dead is removed at the next start. It must never touch what may belong to a living one.
 */
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import path from 'node:path';
import { invariant } from '../core/errors.js';
import { createFolder } from '../storage/create-folder.js';
import { describeIoError } from '../storage/io-error.js';
import {
  formatProcessIdentity,
  identifyProcess,
  isProcessAlive,
  parseProcessIdentity,
} from '../storage/process-identity.js';

/** A file that a thread is just writing may make the first try fail. */
const REMOVE_RETRIES = 3;

export class StateFolder {
  readonly #folder: string;
  #slots = 0;

  private constructor(folder: string) {
    this.#folder = folder;
  }

  /** @throws MillraceError STORAGE_UNAVAILABLE */
  static async open(root: string): Promise<StateFolder> {
    const self = identifyProcess(process.pid);
    invariant(self !== undefined, 'a process can identify itself');
    try {
      await createFolder(root);
      await removeLeftovers(root);
      return new StateFolder(await mkdtemp(path.join(root, `${formatProcessIdentity(self)}@`)));
    } catch (error) {
      throw describeIoError(error, root);
    }
  }

  /** Path of the folder for copies of checkpoint files, which outlive their slots. */
  get checkpoints(): string {
    return path.join(this.#folder, 'checkpoints');
  }

  /** Path of a folder for one slot, which its thread makes. */
  nextSlot(): string {
    return path.join(this.#folder, `slot-${this.#slots++}`);
  }

  /** @throws MillraceError STORAGE_UNAVAILABLE */
  removeSlot(folder: string): Promise<void> {
    return remove(folder);
  }

  close(): Promise<void> {
    return remove(this.#folder);
  }
}

async function removeLeftovers(root: string): Promise<void> {
  for (const name of await readdir(root)) {
    const identity = parseProcessIdentity(name.slice(0, name.lastIndexOf('@')));
    if (identity === undefined || isProcessAlive(identity)) continue;
    await remove(path.join(root, name));
  }
}

async function remove(folder: string): Promise<void> {
  try {
    await rm(folder, { recursive: true, force: true, maxRetries: REMOVE_RETRIES });
  } catch (error) {
    throw describeIoError(error, folder);
  }
}
