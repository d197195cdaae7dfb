/**
 * The runs that make the keyed state of one operator and subtask, in layers from the oldest to the
 * youngest (journey of a checkpoint: change log -> run log -> subtask checkpoint coordinator). Runs
 * of one layer have different key groups; a younger layer changes what older ones say. Layers are
 * merged in the background, so that few have to be replayed. A run is removed when nobody holds it,
 * never before.
 */
import { MillraceError, toMillraceError } from '../../core/errors.js';
import type { KeyGroupRange } from '../../core/key-group.js';
import { intersect } from './key-group-buckets.js';
import { chooseMerge, type MergeChoice } from './merge-policy.js';
import type { StateForm } from './run-file.js';
import type { HeldRuns, MergedRun, MergeRequest, Run, RunServices } from './run-services.js';
import type { WrittenRun } from './run-writer.js';

/** Layers that a restore has to replay at most. */
export const RUN_LAYERS_MAX = 16;

/** A run that a restore found: it is in the run storage already, which now belongs to the log. */
export interface RestoredRun extends Run {
  readonly changes: number;
}

export interface RunLogOptions extends RunServices {
  readonly operator: string;
  readonly keyGroups: KeyGroupRange;
  readonly maxParallelism: number;
  /** Unique in the storage; what this log stores is named after it. */
  readonly name: string;
  /** States as they are declared now. */
  readonly states: () => readonly StateForm[];
  /** Processing time, ms. */
  readonly now: () => number;
  /** All writes before it (processing time, ms) are in the log. */
  readonly completeUntil: () => number;
}

class LoggedRun implements Run {
  /** Who may still read it: the log, and each checkpoint that is being written. */
  holders = 1;
  /** Until they are stored. */
  bytes: Uint8Array | undefined;

  constructor(
    readonly name: string,
    readonly keyGroups: KeyGroupRange,
    readonly lengthBytes: number,
    readonly changes: number,
  ) {}
}

class Layer {
  constructor(readonly runs: readonly LoggedRun[]) {}

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
  restore(lists: readonly (readonly RestoredRun[])[]): void {
    const stacks = lists.map(layered);
    const depth = Math.max(0, ...stacks.map((stack) => stack.length));
    this.#layers = Array.from(
      { length: depth },
      (_, level) =>
        new Layer(
          stacks.flatMap((stack) =>
            (stack[level] ?? []).map(
              (run) => new LoggedRun(run.name, run.keyGroups, run.lengthBytes, run.changes),
            ),
          ),
        ),
    );
  }

  /** All runs in the order in which they are replayed. */
  runs(): readonly Run[] {
    return this.#layers.flatMap((layer) => layer.runs);
  }

  /** Takes a run of the checkpoint that is being written. */
  append(checkpointId: number, { bytes, keyGroups, changes }: WrittenRun): void {
    const run = new LoggedRun(this.#nextName(), keyGroups, bytes.length, changes);
    run.bytes = bytes;
    this.#layers.push(new Layer([run]));
    this.#checkpointId = checkpointId;
    this.#storing = this.#storing.then(() => this.#store(run)).catch(() => undefined);
  }

  /**
   * All runs up to and with those of this checkpoint, once they are stored and few enough.
   * @throws MillraceError STORAGE_UNAVAILABLE; CHECKPOINT_FAILED when a later checkpoint has begun
   */
  async hold(checkpointId: number): Promise<HeldRuns> {
    await this.#storing;
    for (const run of this.#loggedRuns()) await this.#store(run);
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
    return this.#held([...this.#layers]);
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
    return {
      runs,
      open: ({ name }) => this.#options.storage.open(name),
      merged: async () => {
        const { merger, now } = this.#options;
        // Nothing comes after what is held.
        const merged = await merger.merge(this.#mergeRequest(layers, true, now()));
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

  /** A run that could not be stored is kept in memory, and stored for the next checkpoint. */
  async #store(run: LoggedRun): Promise<void> {
    if (run.bytes === undefined) return;
    await this.#options.storage.write(run.name, run.bytes);
    run.bytes = undefined;
  }

  #release(runs: readonly LoggedRun[]): void {
    for (const run of runs) {
      if (--run.holders > 0) continue;
      // What is left behind goes with the folder of the slot.
      this.#options.storage.remove(run.name).catch(() => undefined);
    }
  }

  /** Merges layer by layer until there is nothing worth it. */
  #merge(): void {
    if (this.#merging !== undefined || this.#closed) return;
    const choice = chooseMerge(this.#layers, this.#layersMax);
    if (choice === undefined) return;
    const inputs = this.#layers.slice(choice.from, choice.to);
    // A younger run that is not stored yet waits for the next checkpoint.
    if (inputs.some(({ runs }) => runs.some(({ bytes }) => bytes !== undefined))) return;
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
    const merged = await merger.merge(this.#mergeRequest(inputs, from === 0, until));
    const output = merged.map(loggedRun);
    if (this.#closed) {
      this.#release(output);
      return;
    }
    // Others only append meanwhile, so the inputs are where they were.
    this.#layers.splice(from, inputs.length, new Layer(output));
    this.#release(inputs.flatMap(({ runs }) => runs));
  }

  /** @param toBase whether nothing lies before the layers */
  #mergeRequest(layers: readonly Layer[], toBase: boolean, completeUntil: number): MergeRequest {
    const { operator, keyGroups, maxParallelism, states, now } = this.#options;
    return {
      operator,
      keyGroups,
      maxParallelism,
      states: states(),
      checkpointId: this.#checkpointId,
      inputs: layers.flatMap(({ runs }) =>
        runs.map(({ name, keyGroups: ofRun }) => ({ name, keyGroups: ofRun })),
      ),
      output: this.#nextName(),
      toBase,
      now: now(),
      completeUntil,
    };
  }
}

function loggedRun({ name, keyGroups, lengthBytes, changes }: MergedRun): LoggedRun {
  return new LoggedRun(name, keyGroups, lengthBytes, changes);
}

/** Neighbours in a list whose key groups do not meet are of one layer. */
function layered(runs: readonly RestoredRun[]): readonly (readonly RestoredRun[])[] {
  const layers: RestoredRun[][] = [];
  for (const run of runs) {
    const layer = layers.at(-1);
    if (layer?.every((other) => areApart(other.keyGroups, run.keyGroups)) === true) layer.push(run);
    else layers.push([run]);
  }
  return layers;
}

function areApart(left: KeyGroupRange, right: KeyGroupRange): boolean {
  const { start, end } = intersect(left, right);
  return start >= end;
}
