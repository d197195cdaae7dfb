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
import type { CheckpointStorage } from './task-environment.js';

export interface RestoredOperator {
  /** Files with keyed state for this subtask's key groups; other key groups may be in them too. */
  readonly keyedFiles: readonly Uint8Array[];
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
): Promise<Map<string, RestoredOperator>> {
  const restored = new Map<string, RestoredOperator>();
  for (const { name } of vertex.operators) {
    const files = manifest.vertices
      .flatMap(({ parallelism, tasks }) =>
        tasks.flatMap(({ subtask: owner, files: own }) =>
          own.map((file): OwnedFile => ({ subtask: owner, parallelism, file })),
        ),
      )
      .filter(({ file }) => file.operator === name);
    const keyed = files.filter(
      ({ file }) =>
        file.kind === 'keyed' &&
        file.keyGroupStart < keyGroups.end &&
        file.keyGroupEnd > keyGroups.start,
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
      keyedFiles: await Promise.all(keyed.map(({ file }) => storage.read(file))),
      splits,
      committables,
      watermarks,
    });
  }
  return restored;
}
