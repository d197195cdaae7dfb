/**
 * What survives every crash: the meta store's job record and pointer, checkpoint files, and the
 * output. An operation takes effect at some moment after it was asked for, whether or not its caller
 * still lives; the answer comes later still.
 */
import { createHash } from 'node:crypto';
import { parseManifest } from '../../core/checkpoint-manifest.js';
import type { CompletedCheckpoint, KnownCheckpoints } from '../../core/checkpoint-protocol.js';
import { isOwned } from '../../core/checkpoint-retention.js';
import { MillraceError } from '../../core/errors.js';
import type { JobStatus } from '../../core/execution-state.js';
import { keysOf } from '../../core/file-references.js';
import type { StateFile } from '../../core/state-file.js';
import type { CheckpointStorage } from '../../worker/task/task-environment.js';
import { joined } from '../../worker/state/run-storage.js';
import type { EventLoop, SimulatedProcess } from './event-loop.js';
import { TransactionalOutput } from './transactional-output.js';

export class SimulatedStore {
  readonly files = new Map<string, Uint8Array>();
  readonly output = new TransactionalOutput();
  /** Epoch of the coordinator that was elected last. */
  epoch = 0;
  attempt = 0;
  desiredParallelism = 2;
  nextCheckpointId = 1;
  pointer: readonly CompletedCheckpoint[] = [];
  status: JobStatus = 'CREATED';
  readonly #loop: EventLoop;

  constructor(loop: EventLoop) {
    this.#loop = loop;
  }

  /**
   * Performs `apply` after a while, and answers the caller, if it lives, a while after that.
   * @param apply throws what the answer is to reject with
   */
  perform<T>(owner: SimulatedProcess, apply: () => T): Promise<T> {
    const { random } = this.#loop;
    return new Promise((resolve, reject) => {
      this.#loop.schedule(0.1 + random.next() * 4, undefined, () => {
        let answer: () => void;
        try {
          const result = apply();
          answer = () => resolve(result);
        } catch (error) {
          const failure = error instanceof Error ? error : new Error(String(error));
          answer = () => reject(failure);
        }
        this.#loop.schedule(0.1 + random.next() * 4, owner, answer);
      });
    });
  }

  deletePrefix(prefix: string, keep: ReadonlySet<string>): void {
    for (const key of this.files.keys()) {
      if (key.startsWith(prefix) && !keep.has(key)) this.files.delete(key);
    }
  }

  /** As a coordinator finds it that takes the job over. */
  known(): KnownCheckpoints {
    const references = new Map<number, ReadonlySet<string>>();
    for (const { checkpointId, prefix } of this.pointer.filter(isOwned)) {
      const key = `${prefix}manifest.json`;
      const text = Buffer.from(this.files.get(key) ?? []).toString();
      const { vertices } = parseManifest(text, key);
      references.set(checkpointId, keysOf(vertices.flatMap(({ tasks }) => tasks)).add(key));
    }
    return { completed: this.pointer, references, allocatedId: this.nextCheckpointId - 1 };
  }
}

export interface WrittenFile {
  readonly key: string;
  readonly lengthBytes: number;
  readonly sha256: string;
}

/** What a file will be called and how it will be verified. */
export function describeFile(prefix: string, name: string, bytes: Uint8Array): WrittenFile {
  return {
    key: prefix + name,
    lengthBytes: bytes.byteLength,
    sha256: createHash('sha256').update(bytes).digest('hex'),
  };
}

/** Checkpoint files as one slot writes and reads them. */
export class SimulatedCheckpointStorage implements CheckpointStorage {
  readonly #store: SimulatedStore;
  readonly #owner: SimulatedProcess;

  constructor(store: SimulatedStore, owner: SimulatedProcess) {
    this.#store = store;
    this.#owner = owner;
  }

  write(prefix: string, name: string, pieces: Iterable<Uint8Array>): Promise<WrittenFile> {
    const copy = joined(pieces);
    const file = describeFile(prefix, name, copy);
    return this.#store.perform(this.#owner, () => {
      this.#store.files.set(file.key, copy);
      return file;
    });
  }

  read(file: StateFile): Promise<Uint8Array> {
    return this.#store.perform(this.#owner, () => {
      const bytes = this.#store.files.get(file.key);
      const found = bytes === undefined ? undefined : describeFile('', '', bytes).sha256;
      if (bytes !== undefined && found === file.sha256) return bytes;
      throw new MillraceError('CHECKPOINT_CORRUPT', `file ${file.key} is gone; restore another`);
    });
  }
}
