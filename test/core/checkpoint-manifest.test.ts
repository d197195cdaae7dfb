import test from 'ava';
import {
  createManifest,
  parseManifest,
  stringifyManifest,
} from '../../core/checkpoint-manifest.js';
import { checkRestorable } from '../../core/checkpoint-restore.js';
import { isMillraceError } from '../../core/errors.js';
import type { StateFile } from '../../core/state-file.js';
import type { StateDeclaration, StreamGraph, StreamNode } from '../../core/stream-graph.js';
import { fileOf, GRAPH, STREAM_GRAPH } from './job-fixture.js';

const MANIFEST = createManifest({
  jobId: 'j1',
  checkpointId: 3,
  attempt: 1,
  epoch: 2,
  createdAt: 1_700_000_000_000,
  streamGraph: STREAM_GRAPH,
  vertices: GRAPH.vertices.map(({ id, parallelism }) => ({
    vertex: id,
    parallelism,
    tasks: Array.from({ length: parallelism }, (_, subtask) => ({
      subtask,
      files: [fileOf({ vertex: id, subtask }, 3)],
    })),
  })),
});

function withNode(name: string, change: Partial<StreamNode>): StreamGraph {
  const nodes = STREAM_GRAPH.nodes.map((node) =>
    node.name === name ? { ...node, ...change } : node,
  );
  return { ...STREAM_GRAPH, nodes };
}

function withStates(...states: readonly StateDeclaration[]): StreamGraph {
  return withNode('count', { states });
}

test('a manifest comes back as it was written', (t) => {
  const read = parseManifest(stringifyManifest(MANIFEST), 'manifest.json');
  t.deepEqual(JSON.parse(JSON.stringify(read)), JSON.parse(JSON.stringify(MANIFEST)));
});

test('a damaged manifest is refused by the field', (t) => {
  const text = stringifyManifest(MANIFEST);
  const damaged: readonly (readonly [string, RegExp])[] = [
    [text.slice(0, -20), /can't be read/],
    ['null', /manifest must be an object/],
    [text.replace('"checkpointId":3', '"checkpointId":-3'), /manifest\.checkpointId/],
    [text.replace('"subtask":1', '"subtask":7'), /subtasks 0\.\.1 in order/],
    [text.replace('abab', 'xbab'), /sha256/],
    [text.replace('"jobName":"count"', '"jobName":"other"'), /manifest\.jobName/],
  ];
  for (const [bad, message] of damaged) {
    const error = t.throws(() => parseManifest(bad, 'chk-3/manifest.json'), { message });
    t.true(isMillraceError(error) && error.code === 'CHECKPOINT_CORRUPT');
    t.regex(error?.message ?? '', /chk-3\/manifest\.json/);
  }
  const other = text.replace('"formatVersion":1', '"formatVersion":2');
  t.throws(() => parseManifest(other, 'm'), { message: /^VERSION_MISMATCH/ });
});

test('state without a place, or of another form, is refused by name', (t) => {
  const seen = { name: 'seen', kind: 'value', schema: 'int32' } as const;
  const refused: readonly (readonly [StreamGraph, RegExp])[] = [
    [{ ...STREAM_GRAPH, jobName: 'other' }, /job "count", not of "other"/],
    [{ ...STREAM_GRAPH, maxParallelism: 64 }, /maxParallelism 128, the job has 64/],
    [withNode('count', { name: 'count2' }), /state of process "count".*--allow-non-restored-state/],
    [withNode('count', { kind: 'window' }), /a process in it and a window in the job/],
    [withStates(), /state "seen" of operator "count", which the job doesn't declare/],
    [withStates(seen, { ...seen, name: 'more' }), /holds no state "more" of operator "count"/],
    [withStates({ ...seen, kind: 'list' }), /a value state in it and a list state/],
    [withStates({ ...seen, schema: 'string' }), /another schema: .*int32/],
  ];
  for (const [graph, message] of refused) {
    t.throws(() => checkRestorable(MANIFEST, graph, false), { message }, String(message));
  }
});

test('what fits is restored, and state may be dropped or start empty on the word of the user', (t) => {
  const seen = { name: 'seen', kind: 'value', schema: 'int32' } as const;
  const fits = [STREAM_GRAPH, withStates({ ...seen, schema: 'float64' })];
  for (const graph of fits) t.notThrows(() => checkRestorable(MANIFEST, graph, false));
  const allowed = [
    withNode('count', { name: 'count2' }),
    withStates(),
    withStates(seen, { ...seen, name: 'more' }),
  ];
  for (const graph of allowed) t.notThrows(() => checkRestorable(MANIFEST, graph, true));
});

test('in-flight data asks for the very input that it was on its way to', (t) => {
  const inFlight = (vertex: string, subtask: number): StateFile => ({
    ...fileOf({ vertex: 'count', subtask: 0 }, 3),
    kind: 'channel',
    key: `jobs/j1/chk-3/${vertex}-${subtask}-channels-0`,
  });
  const manifest = {
    ...MANIFEST,
    vertices: MANIFEST.vertices.map((vertex) => ({
      ...vertex,
      tasks: vertex.tasks.map(({ subtask, files }) => ({
        subtask,
        files: [...files, inFlight(vertex.vertex, subtask)],
      })),
    })),
  };
  const read = parseManifest(stringifyManifest(manifest));
  t.is(read.vertices[0]?.tasks[0]?.files[1]?.kind, 'channel');
  t.notThrows(() => checkRestorable(read, STREAM_GRAPH, false));
  const inputs = [{ from: 'numbers', output: 'main', partitioning: 'rebalance' }] as const;
  for (const changed of [
    withNode('numbers', { outputs: { main: 'int32' } }),
    withNode('count', { inputs }),
    withNode('count', {
      kind: 'map' as const,
      inputs: [{ ...inputs[0], partitioning: 'forward' }],
    }),
  ]) {
    t.throws(() => checkRestorable(read, changed, true), { message: /in-flight data.*savepoint/ });
  }
});
