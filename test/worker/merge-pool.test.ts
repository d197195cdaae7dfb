/** The merge thread has a small heap, whatever it merges, and the worker outlives it. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import * as schema from '../../api/schema-builder.js';
import { keyHash } from '../../core/key-codec.js';
import { keyGroupOf } from '../../core/key-group.js';
import { schemaFromJson, schemaToJson } from '../../core/schema-json.js';
import type { Schema } from '../../core/schema.js';
import { FileRunStorage } from '../../worker/file-run-storage.js';
import { MergePool } from '../../worker/merge-pool.js';
import type { MergeReply, MergeTask } from '../../worker/merge-task.js';
import { DeclaredState } from '../../worker/state/declared-state.js';
import type { ReplayedState, StateChanges } from '../../worker/state/heap-state.js';
import { RunBuffers } from '../../worker/state/run-buffers.js';
import { openRunFile, type StateForm } from '../../worker/state/run-file.js';
import type { MergeRequest } from '../../worker/state/run-services.js';
import { writeRun } from '../../worker/state/run-storage.js';
import { RunWriter, type WrittenRun } from '../../worker/state/run-writer.js';

const MAX_PARALLELISM = 4;
const keyGroups = { start: 0, end: MAX_PARALLELISM };
const nowhere: ReplayedState = {
  restoreRow: () => undefined,
  restoreCleared: () => undefined,
  restoreRemoved: () => undefined,
};

/** Stores a run of one key. @param fill makes its rows */
async function storeRun(
  storage: FileRunStorage,
  name: string,
  form: StateForm,
  fill: (changes: StateChanges) => void,
): Promise<void> {
  const runs: WrittenRun[] = [];
  const declared = { kind: form.kind, schema: schemaFromJson(form.schema), ttl: false };
  const writer = new RunWriter({
    operator: 'o',
    checkpointId: 1,
    maxParallelism: MAX_PARALLELISM,
    keys: 'string',
    states: [new DeclaredState(form.name, declared, undefined, nowhere)],
    buffers: new RunBuffers(),
    whole: false,
    runBytesMax: Infinity,
    onRun: (run) => runs.push(run),
  });
  writer.setKey('key', keyGroupOf(keyHash('key'), MAX_PARALLELISM));
  const changes = writer.changesOf(0);
  if (changes !== undefined) fill(changes);
  writer.endRun(keyGroups);
  for (const { pieces } of runs) await writeRun(storage, name, pieces);
}

function formOf(kind: StateForm['kind'], of: Schema): StateForm {
  return { name: kind, kind, schema: schemaToJson(of), ttlMs: null };
}

function requestOf(inputs: readonly string[], states: readonly StateForm[]): MergeRequest {
  return {
    operator: 'o',
    keyGroups,
    maxParallelism: MAX_PARALLELISM,
    states,
    checkpointId: 1,
    inputs: inputs.map((name) => ({ name, keyGroups })),
    output: 'out',
    toBase: true,
    now: 0,
    completeUntil: 0,
  };
}

async function temporary(t: ExecutionContext): Promise<[FileRunStorage, string]> {
  const folder = await mkdtemp(path.join(tmpdir(), 'millrace-merges-'));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  return [await FileRunStorage.open(folder), folder];
}

function poolOf(t: ExecutionContext, heapMb: number): MergePool {
  const pool = new MergePool(heapMb);
  t.teardown(() => pool.close());
  return pool;
}

function codeOf(reply: MergeReply): string {
  return 'error' in reply ? reply.error.code : 'merged';
}

test('a map of one key is merged in a heap that it does not fit into', async (t) => {
  const elements = 300_000;
  const [storage, folder] = await temporary(t);
  const form = formOf('map', schema.record({ n: schema.int32, note: schema.string }));
  const note = 'n'.repeat(80);
  await storeRun(storage, 'base', form, (changes) => {
    for (let n = 0; n < elements; n++) {
      changes.row.name = `element ${String(n)}`;
      changes.row.value = { n, note: `${note}${String(n)}` };
      changes.put();
    }
  });
  await storeRun(storage, 'later', form, (changes) => {
    for (let n = 0; n < elements; n += 3) {
      changes.row.name = `element ${String(n)}`;
      changes.row.value = { n: -n, note };
      if (n % 2 === 0) changes.remove();
      else changes.put();
    }
  });
  // In one pass it takes more than 64 MB.
  const reply = await poolOf(t, 48).merge({
    folder,
    request: requestOf(['base', 'later'], [form]),
  });
  t.is(codeOf(reply), 'merged');
  const [run = t.fail()] = 'runs' in reply ? reply.runs : [];
  t.is(run.changes, elements - Math.ceil(elements / 6));
  const bytes = storage.open(run.name);
  t.is(openRunFile(bytes).header.changes, run.changes);
  bytes.close();
});

test('a merge that fills the heap fails, and those behind it do not', async (t) => {
  const [storage, folder] = await temporary(t);
  const form = formOf('value', schema.array(schema.boolean));
  await storeRun(storage, 'large', form, (changes) => {
    changes.row.value = new Array<boolean>(8_000_000).fill(true);
    changes.put();
  });
  await storeRun(storage, 'small', form, (changes) => {
    changes.row.value = [true];
    changes.put();
  });
  const pool = poolOf(t, 24);
  const taskOf = (input: string): MergeTask => ({ folder, request: requestOf([input], [form]) });
  const replies = await Promise.all(
    ['large', 'small', 'large'].map((of) => pool.merge(taskOf(of))),
  );
  t.deepEqual(replies.map(codeOf), ['CHECKPOINT_FAILED', 'merged', 'CHECKPOINT_FAILED']);
  const [large] = replies;
  t.regex(large && 'error' in large ? large.error.message : '', /merge thread, 24 MB, is full/);
  t.is(codeOf(await pool.merge(taskOf('small'))), 'merged');
});

test('no merge begins after the end', async (t) => {
  const [, folder] = await temporary(t);
  const pool = poolOf(t, 64);
  const task = { folder, request: requestOf([], []) };
  const replies = [pool.merge(task), pool.merge(task)];
  await pool.close();
  t.deepEqual((await Promise.all(replies)).map(codeOf), ['CHECKPOINT_FAILED', 'CHECKPOINT_FAILED']);
});

test('a thread that does not even begin is an error, too', async (t) => {
  const [, folder] = await temporary(t);
  const pool = poolOf(t, 3);
  const task = { folder, request: requestOf([], []) };
  t.is(codeOf(await pool.merge(task)), 'CHECKPOINT_FAILED');
  t.is(codeOf(await pool.merge(task)), 'CHECKPOINT_FAILED');
});
