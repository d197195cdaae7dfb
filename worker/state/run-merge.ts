/**
 * Merges neighbouring runs into one that says the same (journey of a run: run log -> merge -> run
 * log). It works bucket by bucket and in a thread of its own where there is one, so neither memory
 * nor processing feels how large the runs are. It must never look at runs beyond its inputs.
 */
import type { KeyGroupRange } from '../../core/key-group.js';
import { intersect, keyGroupsOf } from './key-group-buckets.js';
import { MergeTable } from './merge-table.js';
import type { ReplayedRun } from './replay-target.js';
import { RunBuffers } from './run-buffers.js';
import { openRunFile } from './run-file.js';
import { RunReplay } from './run-replay.js';
import type { LogRun, MergeRequest, RunMerger } from './run-services.js';
import type { RunOutput, RunStorage } from './run-storage.js';
import type { RunWriter, WrittenRun } from './run-writer.js';

/** A run is closed at this size: large enough for a blob store, small enough to be rewritten by itself. */
const RUN_BYTES_MAX = 16 * 1024 * 1024;
/** Estimated memory of the rows that are held at a time. */
const HELD_BYTES_MAX = 8 * 1024 * 1024;
/** Rows of a merge in one turn of the thread. */
const TURN_CHANGES_MAX = 2048;

/** Merges in the thread that calls, in turns. */
export class InThreadMerger implements RunMerger {
  readonly #storage: RunStorage;
  readonly #nextTurn: () => Promise<void>;
  readonly #buffers: RunBuffers;
  readonly #heldBytesMax: number;

  constructor(
    storage: RunStorage,
    nextTurn: () => Promise<void>,
    buffers: RunBuffers = new RunBuffers(),
    heldBytesMax = HELD_BYTES_MAX,
  ) {
    this.#buffers = buffers;
    this.#heldBytesMax = heldBytesMax;
    this.#storage = storage;
    this.#nextTurn = nextTurn;
  }

  async merge(request: MergeRequest): Promise<readonly LogRun[]> {
    const storage = this.#storage;
    const merged: LogRun[] = [];
    let output: RunOutput | undefined;
    const buffers = this.#buffers;
    const opened = request.inputs.map(({ name, keyGroups }) => ({
      keyGroups,
      bytes: storage.open(name),
    }));
    try {
      const inputs = opened.map(({ bytes, keyGroups }) => ({
        keyGroups,
        file: openRunFile(bytes),
      }));
      let turnEnd = TURN_CHANGES_MAX;
      const steps = mergeRuns(inputs, request, buffers, this.#heldBytesMax);
      for (const { changes, pieces, ended } of steps) {
        if (pieces.length > 0) {
          const name = `${request.output}-${String(merged.length)}`;
          output ??= await storage.create(name);
          await output.append(pieces);
          buffers.give(pieces);
          if (ended !== undefined) {
            await output.close();
            output = undefined;
            merged.push({ name, ...ended });
          }
        }
        if (changes < turnEnd) continue;
        turnEnd = changes + TURN_CHANGES_MAX;
        await this.#nextTurn();
      }
      return merged;
    } catch (error) {
      await output?.discard();
      await Promise.allSettled(merged.map(({ name }) => storage.remove(name)));
      throw error;
    } finally {
      for (const { bytes } of opened) bytes.close();
    }
  }
}

/** What a merge has written since the last step. */
export interface MergeStep {
  /** Rows so far, in all runs. */
  readonly changes: number;
  /** Of the run at hand, in order; the taker's, who gives them back to the buffers. */
  readonly pieces: readonly Uint8Array[];
  /** The run at hand, which these pieces end. */
  readonly ended: Omit<WrittenRun, 'pieces'> | undefined;
}

/**
 * A step for each pass over each bucket.
 * @param heldBytesMax what a pass holds, estimated
 * @throws MillraceError CHECKPOINT_CORRUPT
 */
export function* mergeRuns(
  inputs: readonly ReplayedRun[],
  options: Omit<MergeRequest, 'inputs' | 'output'>,
  buffers: RunBuffers,
  heldBytesMax = HELD_BYTES_MAX,
): Generator<MergeStep, void, undefined> {
  const { keyGroups, maxParallelism, toBase } = options;
  let run: WrittenRun | undefined;
  const table = new MergeTable({
    ...options,
    keys: inputs.every(({ file }) => file.header.keys === 'string') ? 'string' : 'bytes',
    buffers,
    whole: false,
    runBytesMax: RUN_BYTES_MAX,
    heldBytesMax,
    onRun: (written) => {
      run = written;
    },
  });
  const replay = new RunReplay(inputs, table);
  const states = [...table.states.values()];
  const { writer, span } = table;
  const { start, end } = replay.buckets;
  let first = start;
  for (let bucket = start; bucket < end; bucket++) {
    replay.replay(bucket);
    table.write();
    while (span.advance()) {
      yield { changes: writer.changes, pieces: writer.takeFull(), ended: undefined };
      replay.replay(bucket);
      table.write();
    }
    writer.closeBucket(bucket);
    if (writer.isFull || bucket === end - 1) {
      const written = intersect(
        keyGroupsOf({ start: first, end: bucket + 1 }, maxParallelism),
        keyGroups,
      );
      first = bucket + 1;
      if (!toBase) writeTombstones(replay, writer, states, written);
      writer.endRun(written);
    }
    const { changes } = writer;
    if (run === undefined) yield { changes, pieces: writer.takeFull(), ended: undefined };
    else {
      const { pieces, ...ended }: WrittenRun = run;
      run = undefined;
      yield { changes, pieces, ended };
    }
  }
}

/** Each run has those of its own key groups: a restore may read it without the others. */
function writeTombstones(
  { tombstones }: RunReplay,
  writer: RunWriter,
  states: readonly { readonly name: string }[],
  keyGroups: KeyGroupRange,
): void {
  states.forEach(({ name }, index) => {
    for (const row of tombstones.droppedIn(name, keyGroups)) writer.dropped(index, row);
  });
  for (const row of tombstones.firedIn(keyGroups)) writer.fired(row);
}
