/**
 * Reads what one subtask takes back from a checkpoint: keyed state of its own key groups, the splits
 * of all subtasks (each takes those that fall to it), and its share of the committables. Every file
 * is verified as it is read; a damaged one fails the task by name and is never skipped.
 */
import type { Transformation } from '../../api/transformation.js';
import type { CheckpointManifest } from '../../core/checkpoint-manifest.js';
import type { JobVertex } from '../../core/job-graph.js';
import { keyGroupRange, type KeyGroupRange } from '../../core/key-group.js';
import type { StateFile } from '../../core/state-file.js';
import {
  decodeEntries,
  pendingCommittableSchema,
  splitStateSchema,
  watermarkStateSchema,
  type PendingCommittable,
  type SplitState,
} from '../operators/operator-state.js';
import type { RestoredWatermark } from '../operators/restored-watermarks.js';
import type { Run } from '../state/run-services.js';
import type { RunStorage } from '../state/run-storage.js';
import type { CheckpointStorage } from './task-environment.js';

export interface RestoredOperator {
  /** Runs with this subtask's key groups, in the run storage: a list for each subtask that wrote. */
  readonly keyedRuns: readonly (readonly Run[])[];
  readonly splits: readonly SplitState[];
  readonly committables: readonly PendingCommittable[];
  /** Up to where a window operator had fired, by key group. */
  readonly watermarks: readonly RestoredWatermark[];
}

interface OwnedFile {
  readonly subtask: number;
  /** Of the vertex when it was written. */
  readonly parallelism: number;
  readonly file: StateFile;
}

/** State of every operator of the vertex, by operator name, whatever vertex it was in when it was written. */
export async function readRestoredState(
  manifest: CheckpointManifest,
  vertex: JobVertex,
  subtask: number,
  keyGroups: KeyGroupRange,
  transformations: ReadonlyMap<string, Transformation>,
  storage: CheckpointStorage,
  runStorage: RunStorage,
): Promise<Map<string, RestoredOperator>> {
  const restored = new Map<string, RestoredOperator>();
  for (const { name } of vertex.operators) {
    const tasks = manifest.vertices.flatMap(({ parallelism, tasks: written }) =>
      written.map((task) => ({
        subtask: task.subtask,
        parallelism,
        files: task.files.filter(({ operator }) => operator === name),
      })),
    );
    const files = tasks.flatMap(({ subtask: owner, parallelism, files: own }) =>
      own.map((file): OwnedFile => ({ subtask: owner, parallelism, file })),
    );
    const functions = transformations.get(name)?.functions;
    const entriesOf = files.filter(({ file }) => file.kind === 'operator');
    const splits: SplitState[] = [];
    const committables: PendingCommittable[] = [];
    const watermarks: RestoredWatermark[] = [];
    if (functions?.kind === 'source') {
      const schema = splitStateSchema(functions.source.splitSchema);
      for (const { file } of entriesOf) {
        splits.push(...decodeEntries(schema, await storage.read(file), name));
      }
    } else if (functions?.kind === 'sink') {
      const schema = pendingCommittableSchema(functions.sink.committableSchema);
      for (const owned of entriesOf) {
        if (owned.subtask % vertex.parallelism !== subtask) continue;
        committables.push(...decodeEntries(schema, await storage.read(owned.file), name));
      }
    } else if (functions?.kind === 'window') {
      for (const { file, subtask: owner, parallelism } of entriesOf) {
        const owned = keyGroupRange(owner, parallelism, manifest.maxParallelism);
        if (owned.start >= keyGroups.end || owned.end <= keyGroups.start) continue;
        const entries = decodeEntries(watermarkStateSchema, await storage.read(file), name);
        watermarks.push(...entries.map(({ watermark }) => ({ keyGroups: owned, watermark })));
      }
    }
    restored.set(name, {
      keyedRuns: await Promise.all(
        tasks.map((task) => fetchRuns(task.files, keyGroups, storage, runStorage)),
      ),
      splits,
      committables,
      watermarks,
    });
  }
  return restored;
}

/** Brings the runs of one subtask into the run storage. */
async function fetchRuns(
  files: readonly StateFile[],
  keyGroups: KeyGroupRange,
  storage: CheckpointStorage,
  runStorage: RunStorage,
): Promise<readonly Run[]> {
  const runs: Run[] = [];
  for (const file of files) {
    const { kind, keyGroupStart: start, keyGroupEnd: end, lengthBytes } = file;
    if (kind !== 'keyed' || start >= keyGroups.end || end <= keyGroups.start) continue;
    // One file may be the run of several subtasks of the checkpoint, each with its key groups.
    const name = `restored-${start}-${end}-${file.key}`;
    await runStorage.write(name, await storage.read(file));
    runs.push({ name, keyGroups: { start, end }, lengthBytes });
  }
  return runs;
}
