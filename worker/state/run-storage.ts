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
  /** All of it in order; a piece is there until the next is asked for. @throws as `read` */
  pieces(): Iterable<Uint8Array>;
  close(): void;
}

/** A run that is being written. It ends with `close` or with `discard`. */
export interface RunOutput {
  /** One call at a time. Resolves when the memory is not needed any more. @throws MillraceError STORAGE_UNAVAILABLE */
  append(pieces: readonly Uint8Array[]): Promise<void>;
  /** From here on `open` finds it. @throws MillraceError STORAGE_UNAVAILABLE */
  close(): Promise<void>;
  /** Leaves nothing behind. Never fails. */
  discard(): Promise<void>;
}

export interface RunStorage {
  /** @throws MillraceError STORAGE_UNAVAILABLE */
  create(name: string): Promise<RunOutput>;
  /** @throws MillraceError STORAGE_UNAVAILABLE */
  open(name: string): RunBytes;
  /** A run that is not there is no error. */
  remove(name: string): Promise<void>;
}

/** Writes a run whose bytes are all there. @throws MillraceError STORAGE_UNAVAILABLE, and nothing is left of it */
export async function writeRun(
  storage: RunStorage,
  name: string,
  pieces: readonly Uint8Array[],
): Promise<void> {
  const output = await storage.create(name);
  try {
    await output.append(pieces);
    await output.close();
  } catch (error) {
    // Half a run must not take the room that the next attempt needs.
    await output.discard();
    throw error;
  }
}

export class MemoryRunStorage implements RunStorage {
  readonly #runs = new Map<string, Uint8Array>();

  create(name: string): Promise<RunOutput> {
    const written: Uint8Array[] = [];
    return Promise.resolve({
      append: (pieces) => {
        written.push(...pieces.map((piece) => piece.slice()));
        return Promise.resolve();
      },
      close: () => {
        this.put(name, joined(written));
        return Promise.resolve();
      },
      discard: () => Promise.resolve(),
    });
  }

  /** A run that is there at once. */
  put(name: string, bytes: Uint8Array): void {
    this.#runs.set(name, bytes);
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
    pieces: () => [bytes],
    close: () => undefined,
  };
}

/** A copy, and not from the pool of small buffers: decoders look at 8-byte words in place. */
export function joined(pieces: Iterable<Uint8Array>): Uint8Array {
  // Each is there until the next is asked for.
  const copies = Array.from(pieces, (piece) => piece.slice());
  const all = new Uint8Array(copies.reduce((sum, { length }) => sum + length, 0));
  let end = 0;
  for (const copy of copies) {
    all.set(copy, end);
    end += copy.length;
  }
  return all;
}
