/** Broadcast state out of a checkpoint into a job whose declarations have changed since. */
import test from 'ava';
import { mapState, t as types, type BroadcastStates, type Schema } from '../../../api/index.js';
import { createManifest, type CheckpointManifest } from '../../../core/checkpoint-manifest.js';
import { compileRecordCodec } from '../../../core/record-codec.js';
import { schemaToJson } from '../../../core/schema-json.js';
import type { StateFile } from '../../../core/state-file.js';
import { MemoryCheckpointStorage } from '../../../worker/local/memory-checkpoint-storage.js';
import {
  broadcastEntrySchema,
  encodeEntries,
  type BroadcastEntry,
} from '../../../worker/operators/operator-state.js';
import { readRestoredBroadcastState } from '../../../worker/task/restored-broadcast-state.js';
import { STREAM_GRAPH } from '../../core/job-fixture.js';

const written: Readonly<Record<string, Schema>> = {
  rules: types.record({ limit: types.int32, note: types.string }),
  names: types.string,
};
const rule: BroadcastEntry = { state: 'rules', key: 'x', value: { limit: 1, note: 'one' } };
const name: BroadcastEntry = { state: 'names', key: 'x', value: 'a name' };

interface Written {
  readonly storage: MemoryCheckpointStorage;
  readonly manifest: CheckpointManifest;
  readonly file: StateFile;
}

async function write(entries: readonly BroadcastEntry[]): Promise<Written> {
  const storage = new MemoryCheckpointStorage();
  const bytes = encodeEntries(compileRecordCodec(broadcastEntrySchema(written)), entries);
  const stored = await storage.write('chk-1/', 'count-0-operator', [bytes]);
  const manifest = createManifest({
    ...{ jobId: 'job', checkpointId: 1, attempt: 1, epoch: 1, createdAt: 0, vertices: [] },
    streamGraph: {
      ...STREAM_GRAPH,
      nodes: STREAM_GRAPH.nodes.map((node) => ({
        ...node,
        states:
          node.name === 'count'
            ? Object.entries(written).map(([state, schema]) => ({
                name: state,
                kind: 'broadcast' as const,
                schema: schemaToJson(schema),
              }))
            : [],
      })),
    },
  });
  const file: StateFile = {
    ...stored,
    ...{ operator: 'count', kind: 'operator', keyGroupStart: 0, keyGroupEnd: 0 },
  };
  return { storage, manifest, file };
}

async function read(
  { storage, manifest, file }: Written,
  states: BroadcastStates,
): Promise<BroadcastEntry[]> {
  return readRestoredBroadcastState(manifest, 'count', states, [file], storage);
}

test('entries come back as they were, in their order', async (t) => {
  const entries = [name, rule, { ...rule, key: 'a' }, { ...name, key: 'y' }];
  const states = { rules: mapState(written.rules as Schema), names: mapState(types.string) };
  t.deepEqual(await read(await write(entries), states), entries);
});

test('values are migrated, a state that is gone is left out, one that is new is empty', async (t) => {
  const after = types.record({ limit: types.float64, since: types.optional(types.string) });
  const states = { rules: mapState(after), more: mapState(types.int32) };
  t.deepEqual(await read(await write([name, rule]), states), [{ ...rule, value: { limit: 1 } }]);
});

test('a state of another schema is refused by name and field', async (t) => {
  const states = { rules: mapState(types.record({ limit: types.string, note: types.string })) };
  const error = await t.throwsAsync(read(await write([rule]), states));
  t.regex(
    error?.message ?? '',
    /^STATE_NOT_RESTORABLE: broadcast state "rules" of "count" .*field 'limit': int32 can't become string/,
  );
});

test('an operator that had no broadcast state then starts with none', async (t) => {
  const { manifest, ...rest } = await write([rule]);
  const before = { ...manifest, streamGraph: STREAM_GRAPH };
  const states = { rules: mapState(written.rules as Schema) };
  t.deepEqual(await read({ ...rest, manifest: before }, states), []);
});

test('bytes that are no entries are named as such', async (t) => {
  const { storage, manifest, file } = await write([rule]);
  const stored = await storage.write('chk-1/', 'other', [new Uint8Array([1, 2, 3])]);
  const states = { rules: mapState(written.rules as Schema) };
  const error = await t.throwsAsync(
    read({ storage, manifest, file: { ...file, ...stored } }, states),
  );
  t.regex(
    error?.message ?? '',
    /^CHECKPOINT_CORRUPT: the operator state of "count" cannot be read/,
  );
});
