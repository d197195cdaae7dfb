/**
 * The runs that make the keyed state of one operator and subtask, in layers from the oldest to the
 * youngest (journey of a checkpoint: change log -> run log -> subtask checkpoint coordinator). A
 * layer is what was written as one: it says nothing twice, and changes what older ones say. Layers
 * are merged in the background, so that little is replayed in vain. A run is removed when nobody
 * holds it, never before.
 */
import { MillraceError, toMillraceError } from '../../core/errors.js';
import type { KeyGroupRange } from '../../core/key-group.js';
import { intersect } from './key-group-buckets.js';
import { chooseMerge, type MergeChoice } from './merge-policy.js';
import type { RunBuffers } from './run-buffers.js';
import type { StateForm } from './run-file.js';
import type { HeldRuns, LogRun, MergeRequest, Run, RunServices } from './run-services.js';
import { writeRun } from './run-storage.js';
import type { WrittenRun } from './run-writer.js';

/** Layers that a restore has to replay at most. */
export const RUN_LAYERS_MAX = 16;

export interface RunLogOptions extends RunServices {
  readonly operator: string;
  readonly keyGroups: KeyGroupRange;
  readonly maxParallelism: number;
  /** Unique in the storage; what this log stores is named after it. */
  readonly name: string;
  /** Where the bytes of runs come from. */
  readonly buffers: RunBuffers;
  /** States as they are declared now. */
  readonly states: () => readonly StateForm[];
  /** Processing time, ms. */
  readonly now: () => number;
  /** All writes before it (processing time, ms) are in the log. */
  readonly completeUntil: () => number;
}

class LoggedRun implements LogRun {
  /** Who may still read it: the log, and each checkpoint that is being written. */
  holders = 1;
  /** Until they are stored. */
  pieces: readonly Uint8Array[] | undefined;

  constructor(
    readonly name: string,
    readonly keyGroups: KeyGroupRange,
    readonly lengthBytes: number,
    readonly changes: number,
    readonly part: number,
  ) {}

  get isReleased(): boolean {
    return this.holders === 0;
  }
}

class Layer {
  constructor(readonly runs: LoggedRun[]) {}

  get lengthBytes(): number {
    return this.runs.reduce((sum, run) => sum + run.lengthBytes, 0);
  }

  get changes(): number {
    return this.runs.reduce((sum, run) => sum + run.changes, 0);
  }
}

export class RunLog {
  readonly #options: RunLogOptions;
  readonly #layersMax: number;
  #layers: Layer[] = [];
  /** Takes the runs that are written as one. */
  #open: Layer | undefined;
  #named = 0;
  #checkpointId = 0;
  #storing: Promise<void> = Promise.resolve();
  #merging: Promise<void> | undefined;
  #mergeFailure: MillraceError | undefined;
  #closed = false;

  constructor(options: RunLogOptions) {
    this.#options = options;
    this.#layersMax = options.layersMax ?? RUN_LAYERS_MAX;
  }

  get isEmpty(): boolean {
    return this.#layers.length === 0;
  }

  get layerCount(): number {
    return this.#layers.length;
  }

  /** What a checkpoint starts from. @param lists of each subtask that wrote, oldest run first */
  restore(lists: readonly (readonly LogRun[])[]): void {
    const stacks = lists.map(layered);
    const depth = Math.max(0, ...stacks.map((stack) => stack.length));
    this.#layers = Array.from(
      { length: depth },
      (_, level) => new Layer(stacks.flatMap((stack) => (stack[level] ?? []).map(loggedRun))),
    );
  }

  /** All runs in the order in which they are replayed. */
  runs(): readonly Run[] {
    return this.#layers.flatMap((layer) => layer.runs);
  }

  /** Takes a run of the checkpoint that is being written; the parts of one come in their order. */
  append(checkpointId: number, { pieces, lengthBytes, ...written }: WrittenRun): Run {
    const { keyGroups, changes, part } = written;
    const run = new LoggedRun(this.#nextName(), keyGroups, lengthBytes, changes, part);
    run.pieces = pieces;
    if (part > 0 && this.#open !== undefined && this.#layers.at(-1) === this.#open) {
      this.#open.runs.push(run);
    } else {
      this.#open = new Layer([run]);
      this.#layers.push(this.#open);
    }
    this.#checkpointId = checkpointId;
    this.#storeNext([run]).catch(() => undefined);
    return run;
  }

  /** A run and its further parts say all that there was to say: what is older is not needed any more. */
  supersedeBefore(first: Run): void {
    const at = this.#layers.findIndex(({ runs }) => runs.some(({ name }) => name === first.name));
    const superseded = this.#layers.splice(0, Math.max(0, at)).flatMap(({ runs }) => runs);
    // A merge may be reading them.
    if (this.#merging === undefined) this.#release(superseded);
    else void this.#merging.then(() => this.#release(superseded));
  }

  /**
   * All runs up to and with those of this checkpoint, once they are stored and few enough.
   * @throws MillraceError STORAGE_UNAVAILABLE; CHECKPOINT_FAILED when a later checkpoint has begun
   */
  async hold(checkpointId: number): Promise<HeldRuns> {
    await this.#storeNext(this.#loggedRuns());
    this.#merge();
    while (this.#layers.length > this.#layersMax && this.#merging !== undefined) {
      await this.#merging;
      if (this.#mergeFailure !== undefined) throw this.#mergeFailure;
    }
    if (this.#checkpointId > checkpointId || this.#closed) {
      throw new MillraceError(
        'CHECKPOINT_FAILED',
        `checkpoint ${String(checkpointId)} was overtaken by a later one or by the end of its task; the next one covers it`,
      );
    }
    for (const run of this.#loggedRuns()) run.holders++;
    return this.#held(this.#layers);
  }

  /** Merges what is worth it, for runs that no checkpoint asks for. */
  compact(): void {
    void this.#storing.then(() => this.#merge());
  }

  /** Resolves once no merge is running or due. */
  async settled(): Promise<void> {
    while (this.#merging !== undefined) await this.#merging;
  }

  /** Nothing is merged any more, and what nobody holds is removed. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#storing;
    const runs = this.#loggedRuns();
    this.#layers = [];
    // A merge that is still running reads its inputs, and finds out at its end.
    if (this.#merging === undefined) this.#release(runs);
    else void this.#merging.then(() => this.#release(runs));
  }

  #held(layers: readonly Layer[]): HeldRuns {
    const runs = layers.flatMap((layer) => layer.runs);
    // Once more: what is released is taken out of the one, and a layer may yet grow by a part.
    const inputs = [...runs];
    return {
      runs,
      open: ({ name }) => this.#options.storage.open(name),
      merged: async () => {
        const { merger, now } = this.#options;
        // Nothing comes after what is held.
        const merged = await merger.merge(this.#mergeRequest(inputs, true, now()));
        return this.#held([new Layer(merged.map(loggedRun))]);
      },
      release: () => this.#release(runs.splice(0)),
    };
  }

  #loggedRuns(): LoggedRun[] {
    return this.#layers.flatMap((layer) => layer.runs);
  }

  #nextName(): string {
    return `${this.#options.name}-${String(this.#named++)}`;
  }

  /** After whatever is being stored: the memory of a run is given back once, when nobody reads it. */
  #storeNext(runs: readonly LoggedRun[]): Promise<void> {
    const stored = this.#storing.then(async () => {
      for (const run of runs) await this.#store(run);
    });
    this.#storing = stored.catch(() => undefined);
    return stored;
  }

  /** A run that could not be stored is kept in memory, and stored for the next checkpoint. */
  async #store(run: LoggedRun): Promise<void> {
    const { pieces } = run;
    if (pieces === undefined || run.isReleased) return;
    await writeRun(this.#options.storage, run.name, pieces);
    run.pieces = undefined;
    this.#options.buffers.give(pieces);
    // Removing it came too early.
    if (run.isReleased) this.#remove(run);
  }

  #remove({ name }: LoggedRun): void {
    // What is left behind goes with the folder of the slot.
    this.#options.storage.remove(name).catch(() => undefined);
  }

  #release(runs: readonly LoggedRun[]): void {
    for (const run of runs) {
      run.holders--;
      if (run.isReleased) this.#remove(run);
    }
  }

  /** Merges layer by layer until there is nothing worth it. */
  #merge(): void {
    if (this.#merging !== undefined || this.#closed) return;
    const choice = chooseMerge(this.#layers, this.#layersMax);
    if (choice === undefined) return;
    const inputs = this.#layers.slice(choice.from, choice.to);
    // A younger run that is not stored yet waits for the next checkpoint.
    if (inputs.some(({ runs }) => runs.some(({ pieces }) => pieces !== undefined))) return;
    // What comes late is a layer of its own.
    this.#open = undefined;
    this.#mergeFailure = undefined;
    this.#merging = this.#mergeLayers(inputs, choice).then(
      () => {
        this.#merging = undefined;
        this.#merge();
      },
      (error: unknown) => {
        this.#merging = undefined;
        this.#mergeFailure = toMillraceError(error, 'CHECKPOINT_FAILED');
      },
    );
  }

  async #mergeLayers(inputs: readonly Layer[], { from, to }: MergeChoice): Promise<void> {
    const { merger, completeUntil } = this.#options;
    const until = to === this.#layers.length ? completeUntil() : -Infinity;
    const runs = inputs.flatMap((layer) => layer.runs);
    const merged = await merger.merge(this.#mergeRequest(runs, from === 0, until));
    const output = merged.map(loggedRun);
    // Layers before them may have gone meanwhile, and they themselves with those.
    const at = this.#layers.findIndex((layer) => layer === inputs[0]);
    if (this.#closed || at < 0) {
      this.#release(output);
      return;
    }
    this.#layers.splice(at, inputs.length, new Layer(output));
    this.#release(runs);
  }

  /** @param toBase whether nothing lies before the runs */
  #mergeRequest(runs: readonly Run[], toBase: boolean, completeUntil: number): MergeRequest {
    const { operator, keyGroups, maxParallelism, states, now } = this.#options;
    return {
      operator,
      keyGroups,
      maxParallelism,
      states: states(),
      checkpointId: this.#checkpointId,
      inputs: runs.map(({ name, keyGroups: ofRun }) => ({ name, keyGroups: ofRun })),
      output: this.#nextName(),
      toBase,
      now: now(),
      completeUntil,
    };
  }
}

function loggedRun({ name, keyGroups, lengthBytes, changes, part }: LogRun): LoggedRun {
  return new LoggedRun(name, keyGroups, lengthBytes, changes, part);
}

/** Neighbours in a list are of one layer if they were written as one, or if their key groups do not meet. */
function layered(runs: readonly LogRun[]): readonly (readonly LogRun[])[] {
  const layers: LogRun[][] = [];
  for (const run of runs) {
    const layer = layers.at(-1);
    const isPart = run.part > 0 && layer?.at(-1)?.part === run.part - 1;
    if (
      layer !== undefined &&
      (isPart || layer.every((other) => areApart(other.keyGroups, run.keyGroups)))
    ) {
      layer.push(run);
    } else {
      layers.push([run]);
    }
  }
  return layers;
}

function areApart(left: KeyGroupRange, right: KeyGroupRange): boolean {
  const { start, end } = intersect(left, right);
  return start >= end;
}
