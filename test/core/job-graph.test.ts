import test from 'ava';
import { isMillraceError } from '../../core/errors.js';
import { createJobGraph, type JobGraph } from '../../core/job-graph.js';
import type { StreamGraph, StreamNode } from '../../core/stream-graph.js';
import { sampleJob } from '../api/sample-job.js';
import { matchesGolden } from '../golden.js';

function describe(graph: JobGraph): string {
  const lines = graph.vertices.map(
    ({ id, parallelism, operators }) =>
      `vertex ${id} x${parallelism}: ${operators.map(({ name, kind }) => `${name}[${kind}]`).join(' -> ')}`,
  );
  const edges = graph.edges.map(
    (edge) =>
      `edge ${edge.index}: ${edge.fromOperator}.${edge.fromOutput} -${edge.partitioning}-> ${edge.toVertex}, channels from ${edge.firstChannel}`,
  );
  return `${[...lines, ...edges, `channels ${graph.channelCount}`].join('\n')}\n`;
}

test('the sample job is chained as the golden file shows', (t) => {
  matchesGolden(t, 'sample-job-graph.txt', describe(createJobGraph(sampleJob.build({}).graph, 3)));
});

test('the same job gives the same graph every time', (t) => {
  t.deepEqual(
    createJobGraph(sampleJob.build({}).graph, 4),
    createJobGraph(sampleJob.build({}).graph, 4),
  );
});

function node(name: string, options: Partial<StreamNode> = {}): StreamNode {
  return {
    name,
    kind: 'map',
    chainable: true,
    inputs: [],
    outputs: { main: null },
    states: [],
    declaredAt: 'test:1:1',
    ...options,
  };
}

function graphOf(nodes: readonly StreamNode[]): StreamGraph {
  return { ...sampleJob.build({}).graph, nodes };
}

const source = node('in', { kind: 'source' });
const sinkAfter = (from: string): StreamNode =>
  node('out', {
    kind: 'sink',
    outputs: {},
    inputs: [{ from, output: 'main', partitioning: 'forward' }],
  });

test('an operator that asks not to be chained starts a vertex', (t) => {
  const graph = createJobGraph(
    graphOf([
      source,
      node('own', {
        chainable: false,
        inputs: [{ from: 'in', output: 'main', partitioning: 'forward' }],
      }),
      sinkAfter('own'),
    ]),
    1,
  );
  t.deepEqual(
    graph.vertices.map(({ id }) => id),
    ['in', 'own'],
  );
});

test('an operator with two inputs starts a vertex', (t) => {
  const graph = createJobGraph(
    graphOf([
      source,
      node('other', { kind: 'source' }),
      node('both', {
        inputs: [
          { from: 'in', output: 'main', partitioning: 'forward' },
          { from: 'other', output: 'main', partitioning: 'forward' },
        ],
      }),
      sinkAfter('both'),
    ]),
    1,
  );
  t.deepEqual(
    graph.vertices.map(({ id }) => id),
    ['in', 'other', 'both'],
  );
});

for (const [what, nodes, expected] of [
  ['no operator', [], /declares no operator/],
  ['no sink', [source], /has no sink/],
  ['a reader of nothing', [source, sinkAfter('nobody')], /reads "nobody"/],
  [
    'a forward edge between parallelisms',
    [source, { ...sinkAfter('in'), parallelism: 2 }],
    /put \.rebalance\(\)/,
  ],
  ['two operators of one name', [source, source, sinkAfter('in')], /two operators are named "in"/],
  ['a bad name', [node('a b', { kind: 'source' }), sinkAfter('a b')], /letters, digits/],
] as const) {
  test(`a graph with ${what} is refused in words`, (t) => {
    const error = t.throws(() => createJobGraph(graphOf(nodes), 1));
    t.true(isMillraceError(error));
    t.regex(error?.message ?? '', expected);
  });
}

test('a parallelism beyond maxParallelism is refused', (t) => {
  t.throws(() => createJobGraph(sampleJob.build({}).graph, 129), { message: /outside 1\.\.128/ });
});
