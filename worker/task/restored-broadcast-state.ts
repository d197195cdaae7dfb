/**
 * Reads the broadcast state of one operator out of a checkpoint. One file has it for all subtasks,
 * whatever parallelism it was written at: no barrier overtakes broadcast records, so every subtask
 * had processed the same ones. A checkpoint that should have the file and doesn't is never taken for
 * one whose state is empty.
 */
import type { BroadcastStates } from '../../api/state.js';
import type { CheckpointManifest } from '../../core/checkpoint-manifest.js';
import { MillraceError } from '../../core/errors.js';
import { evolve, type Migration } from '../../core/schema-evolution.js';
import { schemaFromJson } from '../../core/schema-json.js';
import type { StateFile } from '../../core/state-file.js';
import {
  broadcastEntrySchema,
  decodeEntries,
  type BroadcastEntry,
} from '../operators/operator-state.js';
import type { CheckpointStorage } from './task-environment.js';

/**
 * @param states as they are declared now; entries of others are left out
 * @param files those of the operator's own state
 * @throws MillraceError CHECKPOINT_CORRUPT, STATE_NOT_RESTORABLE
 */
export async function readRestoredBroadcastState(
  manifest: CheckpointManifest,
  operator: string,
  states: BroadcastStates,
  files: readonly StateFile[],
  storage: CheckpointStorage,
): Promise<BroadcastEntry[]> {
  const node = manifest.streamGraph.nodes.find(({ name }) => name === operator);
  const written = (node?.states ?? []).filter(({ kind }) => kind === 'broadcast');
  if (written.length === 0) return [];
  const [file] = files;
  if (file === undefined) {
    throw new MillraceError(
      'CHECKPOINT_CORRUPT',
      `the checkpoint names no file with the broadcast state of "${operator}"; restore from another checkpoint`,
      { location: { operator } },
    );
  }
  const schemas = Object.fromEntries(
    written.map(({ name, schema }) => [name, schemaFromJson(schema)]),
  );
  const migrations = new Map<string, Migration>();
  for (const [name, { schema }] of Object.entries(states)) {
    const writer = schemas[name];
    if (writer === undefined) continue;
    const evolution = evolve(writer, schema);
    if (!evolution.compatible) {
      throw new MillraceError(
        'STATE_NOT_RESTORABLE',
        `broadcast state "${name}" of "${operator}" has another schema: ${evolution.reason}; undo the change`,
        { location: { operator } },
      );
    }
    migrations.set(name, evolution.migrate ?? ((value) => value));
  }
  const entries = decodeEntries(broadcastEntrySchema(schemas), await storage.read(file), operator);
  return entries.flatMap(({ state, key, value }) => {
    const migrate = migrations.get(state);
    return migrate === undefined ? [] : { state, key, value: migrate(value) };
  });
}
