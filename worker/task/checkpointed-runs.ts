/**
 * Which runs of a task are files of a completed checkpoint, so that the next one names them again in
 * place of uploading them. A run counts only while the checkpoint that it was uploaded for last is
 * known to be complete: each later checkpoint of this task then names the same file, so that whichever
 * is the latest completed one holds it. It must never tell of a file that the job does not own.
 */
import type { StateFile } from '../../core/state-file.js';
import type { Run } from '../state/run-services.js';

interface Upload {
  readonly file: StateFile;
  /** Undefined: what the task was restored from. */
  readonly checkpointId: number | undefined;
  complete: boolean;
}

export class CheckpointedRuns {
  /** By operator, and by the run's name. */
  readonly #uploads = new Map<string, ReadonlyMap<string, Upload>>();

  /** The job owns the checkpoint that this run was restored from. */
  restored(operator: string, run: string, file: StateFile): void {
    this.#set(operator, run, { file, checkpointId: undefined, complete: true });
  }

  /** The run has been uploaded, for the first time or again. */
  uploaded(operator: string, run: string, file: StateFile, checkpointId: number): void {
    this.#set(operator, run, { file, checkpointId, complete: false });
  }

  /** A checkpoint of the task is complete; a savepoint may be told of, too, and changes nothing. */
  completed(checkpointId: number): void {
    for (const uploads of this.#uploads.values()) {
      for (const upload of uploads.values())
        upload.complete ||= upload.checkpointId === checkpointId;
    }
  }

  /** As the next checkpoint is to name it; undefined when it has to be uploaded. */
  fileOf(operator: string, { name, keyGroups: { start, end } }: Run): StateFile | undefined {
    const upload = this.#uploads.get(operator)?.get(name);
    if (upload?.complete !== true) return undefined;
    return { ...upload.file, keyGroupStart: start, keyGroupEnd: end };
  }

  /** These are all that the operator's state is made of now; what was merged away is forgotten. */
  keepOnly(operator: string, runs: readonly Run[]): void {
    const uploads = this.#uploads.get(operator);
    const kept = runs.flatMap(({ name }) => {
      const upload = uploads?.get(name);
      return upload === undefined ? [] : [[name, upload] as const];
    });
    this.#uploads.set(operator, new Map(kept));
  }

  #set(operator: string, run: string, upload: Upload): void {
    this.#uploads.set(operator, new Map(this.#uploads.get(operator)).set(run, upload));
  }
}
