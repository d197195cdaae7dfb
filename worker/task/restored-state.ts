/**
 * Reads what one subtask takes back from a checkpoint: keyed state of its own key groups, the splits
 * of all subtasks (each takes those that fall to it), and its share of the committables. Every file
 * is verified as it is read; a damaged one fails the task by name and is never skipped.
 */
import type { Transformation } from '../../api/transformation.js';
import type { CheckpointManifest } from '../../core/checkpoint-manifest.js';
import type { JobVertex } from '../../core/job-graph.js';
import type { KeyGroupRange } from '../../core/key-group.js';
import type { StateFile } from '../../core/state-file.js';
import {
  decodeEntries,
  pendingCommittableSchema,
  splitStateSchema,
  watermarkStateSchema,
  type PendingCommittable,
  type SplitState,
} from '../operators/operator-state.js';
import type { CheckpointStorage } from './task-environment.js';

export interface RestoredOperator {
  /** Files with keyed state for this subtask's key groups; other key groups may be in them too. */
  readonly keyedFiles: readonly Uint8Array[];
  readonly splits: readonly SplitState[];
  readonly committables: readonly PendingCommittable[];
  /** Up to where every subtask of a window operator had fired; -Infinity: not known. */
  readonly watermark: number;
}

interface OwnedFile {
  readonly subtask: number;
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
      .flatMap((written) => written.tasks)
      .flatMap((task) => task.files.map((file): OwnedFile => ({ subtask: task.subtask, file })))
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
    const watermarks: number[] = [];
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
      for (const { file } of entriesOf) {
        const entries = decodeEntries(watermarkStateSchema, await storage.read(file), name);
        watermarks.push(...entries.map(({ watermark }) => watermark));
      }
    }
    restored.set(name, {
      keyedFiles: await Promise.all(keyed.map(({ file }) => storage.read(file))),
      splits,
      committables,
      watermark: watermarks.length === 0 ? -Infinity : Math.min(...watermarks),
    });
  }
  return restored;
}
