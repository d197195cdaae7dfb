/** What a broadcast stream becomes in the job's graph, and what the graph refuses of it. */
import test from 'ava';
import { isMillraceError, job, mapState, t as types, type Job } from '../../api/index.js';
import { createJobGraph } from '../../core/job-graph.js';
import { createJobPlan, renderJobPlan } from '../../core/job-plan.js';
import { JsonReader } from '../../core/json-reader.js';
import { readStreamGraph } from '../../core/stream-graph-json.js';
import type { StreamGraph, StreamNode } from '../../core/stream-graph.js';
import { describedSink, describedSource, Order } from './sample-job.js';

const Rule = types.record({ id: types.string, limit: types.float64 });
const process = {
  output: Order,
  onElement: () => undefined,
  onBroadcastElement: () => undefined,
};

const rulesJob: Job = job('rules', {}, (env) => {
  const orders = env.source('orders', describedSource(Order));
  const rules = env.source('rules', describedSource(Rule)).broadcast({ rules: mapState(Rule) });
  orders
    .keyBy(({ user }) => user)
    .connect(rules)
    .process('judge', { ...process, state: { seen: mapState(types.int32) } })
    .sinkTo('judged', describedSink());
  orders.connect(rules).process('tag', process).sinkTo('tagged', describedSink());
});

test('both streams lead into one operator, which heads a chain and keeps both kinds of state', (t) => {
  const { vertices, edges } = createJobGraph(rulesJob.build({}).graph, 3);
  t.deepEqual(
    vertices.map(({ id, operators }) => [id, operators.map(({ name }) => name)]),
    [
      ['orders', ['orders']],
      ['rules', ['rules']],
      ['judge', ['judge', 'judged']],
      ['tag', ['tag', 'tagged']],
    ],
  );
  t.deepEqual(
    edges.map(({ fromVertex, toVertex, partitioning }) => [fromVertex, toVertex, partitioning]),
    [
      ['orders', 'judge', 'hash'],
      ['rules', 'judge', 'broadcast'],
      ['orders', 'tag', 'forward'],
      ['rules', 'tag', 'broadcast'],
    ],
  );
});

test('the plan shows the broadcast edge and the state', (t) => {
  const plan = renderJobPlan(createJobPlan(createJobGraph(rulesJob.build({}).graph, 2)));
  t.true(
    plan.includes(
      [
        'chain 3: judge  x2',
        '  <= hash from orders',
        '  <= broadcast from rules',
        '  judge  broadcastProcess',
      ].join('\n'),
    ),
    plan,
  );
  t.true(plan.includes('state rules: broadcast of { id: string, limit: float64 }\n'), plan);
  t.true(plan.includes('state seen: map of int32\n'), plan);
});

test('the graph is the same on its way back from JSON', (t) => {
  const { graph } = rulesJob.build({});
  const json = JSON.parse(JSON.stringify(graph)) as unknown;
  t.deepEqual(JSON.parse(JSON.stringify(readStreamGraph(new JsonReader(json, 'graph')))), json);
});

test('streams of two jobs are not connected', (t) => {
  let rules: ReturnType<typeof broadcastOf> | undefined;
  const broadcastOf = (env: Parameters<Parameters<typeof job>[2]>[0]) =>
    env.source('rules', describedSource(Rule)).broadcast({ rules: mapState(Rule) });
  const first = job('first', {}, (env) => {
    rules = broadcastOf(env);
    env.source('orders', describedSource(Order)).sinkTo('out', describedSink());
  });
  first.build({});
  const second = job('second', {}, (env) => {
    if (rules === undefined) return;
    env.source('orders', describedSource(Order)).connect(rules).process('tag', process);
  });
  t.throws(() => second.build({}), { message: /^JOB_INVALID: connect of streams of two jobs/ });
});

function withNode(name: string, change: (node: StreamNode) => Partial<StreamNode>): StreamGraph {
  const { graph } = rulesJob.build({});
  return {
    ...graph,
    nodes: graph.nodes.map((node) => (node.name === name ? { ...node, ...change(node) } : node)),
  };
}

const inputs = (from: number, to: number) => (node: StreamNode) => ({
  inputs: node.inputs.slice(from, to),
});
const states = (kinds: readonly string[]) => (node: StreamNode) => ({
  states: node.states.filter(({ kind }) => kinds.includes(kind)),
});

for (const [what, graph, expected] of [
  ['no broadcast input', withNode('judge', inputs(0, 1)), /needs a stream of its own and a broad/],
  ['no input of its own', withNode('judge', inputs(1, 2)), /needs a stream of its own and a broad/],
  ['no broadcast state', withNode('judge', states(['map'])), /"judge" .* has no broadcast state/],
  [
    'a broadcast input of another kind of operator',
    withNode('judge', () => ({ kind: 'process' })),
    /"judge" .* is a process, which takes no broadcast stream/,
  ],
  [
    'keyed state without a key',
    withNode('tag', ({ states: own }) => ({
      states: [...own, { name: 'seen', kind: 'value', schema: 'int32' }],
    })),
    /"tag" .* has keyed state, but its stream has no key/,
  ],
  [
    'broadcast state that expires',
    withNode('tag', ({ states: own }) => ({
      states: own.map((state) => ({ ...state, ttlMs: 1000 })),
    })),
    /"tag" .*: broadcast state "rules" can't expire/,
  ],
  [
    'one name for a keyed and a broadcast state',
    withNode('judge', ({ states: own }) => ({
      states: own.map((state) => ({ ...state, name: 'both' })),
    })),
    /declares state "both" twice/,
  ],
] as const) {
  test(`a graph with ${what} is refused in words`, (t) => {
    const error = t.throws(() => createJobGraph(graph, 1));
    t.true(isMillraceError(error));
    t.regex(error?.message ?? '', /^JOB_INVALID/);
    t.regex(error?.message ?? '', expected);
  });
}
