/** Checkpoint files in memory, for the local runner. Nothing survives the process. */
import { createHash } from 'node:crypto';
import { MillraceError } from '../../core/errors.js';
import type { StateFile } from '../../core/state-file.js';
import { joined } from '../state/run-storage.js';
import type { CheckpointStorage } from '../task/task-environment.js';

export class MemoryCheckpointStorage implements CheckpointStorage {
  readonly #files = new Map<string, Uint8Array>();

  write(
    prefix: string,
    name: string,
    pieces: Iterable<Uint8Array>,
  ): ReturnType<CheckpointStorage['write']> {
    const key = prefix + name;
    const bytes = joined(pieces);
    this.#files.set(key, bytes);
    const sha256 = createHash('sha256').update(bytes).digest('hex');
    return Promise.resolve({ key, lengthBytes: bytes.byteLength, sha256 });
  }

  read(file: StateFile): Promise<Uint8Array> {
    const bytes = this.#files.get(file.key);
    return bytes === undefined
      ? Promise.reject(
          new MillraceError('CHECKPOINT_CORRUPT', `file ${file.key} is not in the checkpoint`),
        )
      : Promise.resolve(bytes);
  }
}
