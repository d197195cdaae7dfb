/**
 * Where the runs of a slot lie on this machine while they may still be needed: scratch space, gone
 * with the slot. A file system stands behind it in a worker, memory in tests and in the local
 * runner. It must never be what a checkpoint relies on.
 */
import { invariant } from '../../core/errors.js';

/** A stored run, read piece by piece; synchronous, since the task is restored before it runs. */
export interface RunBytes {
  readonly lengthBytes: number;
  /** @throws MillraceError STORAGE_UNAVAILABLE; the piece must lie within the run */
  read(offset: number, lengthBytes: number): Uint8Array;
  close(): void;
}

export interface RunStorage {
  /** Resolves once `open` finds it, and has no need of the bytes any more. @throws MillraceError STORAGE_UNAVAILABLE */
  write(name: string, bytes: Uint8Array): Promise<void>;
  /** @throws MillraceError STORAGE_UNAVAILABLE */
  open(name: string): RunBytes;
  /** A run that is not there is no error. */
  remove(name: string): Promise<void>;
}

export class MemoryRunStorage implements RunStorage {
  readonly #runs = new Map<string, Uint8Array>();

  write(name: string, bytes: Uint8Array): Promise<void> {
    this.#runs.set(name, bytes.slice());
    return Promise.resolve();
  }

  open(name: string): RunBytes {
    const bytes = this.#runs.get(name);
    invariant(bytes !== undefined, `run ${name} is stored`);
    return bytesOf(bytes);
  }

  remove(name: string): Promise<void> {
    this.#runs.delete(name);
    return Promise.resolve();
  }

  /** Names of what is stored, for tests of what is left behind. */
  names(): readonly string[] {
    return [...this.#runs.keys()];
  }
}

export function bytesOf(bytes: Uint8Array): RunBytes {
  return {
    lengthBytes: bytes.length,
    read: (offset, length) => bytes.subarray(offset, offset + length),
    close: () => undefined,
  };
}
