/**
 * Brings runs of a restored checkpoint into the slot's run storage: from a copy that this machine
 * kept, if there is a whole one, else from checkpoint storage. Either way what arrives is what the
 * manifest says, to the last bit, or the restore fails.
 */
import type { StateFile } from '../../core/state-file.js';
import type { Run } from '../state/run-services.js';
import { writeRun, type RunStorage } from '../state/run-storage.js';
import type { CheckpointStorage, LocalRecovery } from './task-environment.js';

/** A run in the run storage, and the file that it was. */
export interface FetchedRun extends Run {
  readonly file: StateFile;
}

export interface RunFetcherOptions {
  /** The restored one. */
  readonly checkpointId: number;
  readonly storage: CheckpointStorage;
  readonly runStorage: RunStorage;
  readonly local: LocalRecovery | undefined;
}

export class RunFetcher {
  readonly #options: RunFetcherOptions;
  /** Bytes that copies of this machine saved from being fetched, and bytes that were fetched. */
  localBytes = 0;
  fetchedBytes = 0;

  constructor(options: RunFetcherOptions) {
    this.#options = options;
  }

  /** @throws MillraceError CHECKPOINT_CORRUPT, STORAGE_UNAVAILABLE */
  async fetch(file: StateFile): Promise<FetchedRun> {
    const { checkpointId, storage, runStorage, local } = this.#options;
    const { keyGroupStart: start, keyGroupEnd: end, lengthBytes } = file;
    // One file may be the run of several subtasks of the checkpoint, each with its key groups.
    const name = `restored-${start}-${end}-${file.key}`;
    if ((await local?.take(file, name)) === true) this.localBytes += lengthBytes;
    else {
      await writeRun(runStorage, name, [await storage.read(file)]);
      this.fetchedBytes += lengthBytes;
      await local?.keep(name, file, checkpointId);
    }
    return { name, keyGroups: { start, end }, lengthBytes, file };
  }
}
