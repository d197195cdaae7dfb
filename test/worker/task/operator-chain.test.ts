/** Operators of a chain compiled into direct calls, and the chain around them. */
import test from 'ava';
import { isMillraceError } from '../../../api/index.js';
import type { OperatorFunctions, Transformation } from '../../../api/transformation.js';
import type { JobVertex } from '../../../core/job-graph.js';
import { MAIN_OUTPUT, type StreamEdge, type StreamNode } from '../../../core/stream-graph.js';
import type { Buffer } from '../../../worker/network/buffer.js';
import { RecordWriter } from '../../../worker/network/record-writer.js';
import { ResultSubpartition } from '../../../worker/network/result-subpartition.js';
import type { OperatorOutput, StreamOperator } from '../../../worker/operators/operator.js';
import { OperatorMetricGroup } from '../../../worker/operators/operator-metric-group.js';
import { OperatorChain } from '../../../worker/task/operator-chain.js';

/** An operator object that hands every number on and puts odd ones out at its side too. */
class Tee implements StreamOperator {
  readonly marks: unknown[] = [];
  readonly prefetched: unknown[] = [];
  draining: Promise<void> | undefined;
  drains = 0;

  constructor(
    readonly name: string,
    private readonly output: OperatorOutput,
  ) {}

  open(): Promise<void> {
    return Promise.resolve();
  }
  prefetch(values: readonly unknown[], _timestamps: ArrayLike<number>, count: number): void {
    this.prefetched.push(...values.slice(0, count));
  }
  processBroadcastElement(value: unknown, timestamp: number): void {
    this.output.collect(value, timestamp);
  }
  processElement(value: unknown, timestamp: number): void {
    if (Number(value) % 2 === 1) this.output.sideOutput('odd', value, timestamp);
    this.output.collect(value, timestamp);
  }
  processWatermark(timestamp: number): void {
    this.marks.push(timestamp);
    this.output.emitWatermark(timestamp);
  }
  proceed(): boolean {
    return false;
  }
  processWatermarkStatus(idle: boolean): void {
    this.marks.push(idle);
    this.output.emitWatermarkStatus(idle);
  }
  suspended(): undefined {
    return undefined;
  }
  drain(): Promise<void> | undefined {
    this.drains++;
    return this.draining;
  }
  canSnapshot(): boolean {
    return true;
  }
  snapshot(): Record<never, never> {
    return {};
  }
  notifyCheckpointComplete(): Promise<void> {
    return Promise.resolve();
  }
  advanceProcessingTime(): undefined {
    return undefined;
  }
  close(): Promise<void> {
    return Promise.resolve();
  }
}

interface Declared {
  readonly name: string;
  /** `operator` or `operator/output`; the task's input for the first. */
  readonly from?: string;
  readonly functions?: OperatorFunctions;
  readonly outputs?: readonly string[];
}

const map = (call: (n: number) => unknown): OperatorFunctions => ({
  kind: 'map',
  map: call as (record: unknown) => unknown,
});
const filter = (call: (n: number) => boolean): OperatorFunctions => ({
  kind: 'filter',
  filter: call as (record: unknown) => boolean,
});
const flatMap = (call: (n: number) => Iterable<unknown>): OperatorFunctions => ({
  kind: 'flatMap',
  flatMap: call as (record: unknown) => Iterable<unknown>,
});

function nodeOf({
  name,
  from = 'input',
  functions,
  outputs = [MAIN_OUTPUT],
}: Declared): StreamNode {
  const [operator = '', output = MAIN_OUTPUT] = from.split('/');
  const edge: StreamEdge = { from: operator, output, partitioning: 'forward' };
  return {
    name,
    kind: functions?.kind ?? 'process',
    chainable: true,
    inputs: [edge],
    outputs: Object.fromEntries(outputs.map((one) => [one, null])),
    states: [],
    declaredAt: 'job.ts:1:1',
  };
}

/** A chain whose `written` outputs lead to channels, with all that goes out on them. */
function build(
  declared: readonly Declared[],
  written: readonly string[],
  inputs: JobVertex['inputs'] = [],
) {
  const nodes = declared.map(nodeOf);
  const transformations = new Map(
    declared.map((one, index): [string, Transformation] => [
      one.name,
      {
        node: nodes[index] as StreamNode,
        functions: one.functions ?? ({ kind: 'process' } as OperatorFunctions),
        keySelectors: [undefined],
        outputSchemas: new Map(),
      },
    ]),
  );
  const vertex: JobVertex = { id: 'v', parallelism: 1, operators: nodes, inputs, outputs: [] };
  const sent = new Map<string, Buffer[]>(written.map((output) => [output, []]));
  const tees = new Map<string, Tee>();
  const metrics = new Map<string, OperatorMetricGroup>();
  const chain = new OperatorChain({
    vertex,
    transformations,
    writersOf: (operator, output) => {
      const buffers = sent.get(`${operator}/${output}`);
      if (buffers === undefined) return [];
      const subpartition = new ResultSubpartition(
        0,
        (_, buffer) => buffers.push(buffer),
        undefined,
        () => 0,
      );
      return [
        new RecordWriter({
          partitioning: 'forward',
          subpartitions: [subpartition],
          maxParallelism: 128,
          selectKey: undefined,
          hashKey: () => 0,
        }),
      ];
    },
    createOperator: ({ node, functions }, output) => {
      if (functions.kind !== 'process') return undefined;
      const tee = new Tee(node.name, output);
      tees.set(node.name, tee);
      return tee;
    },
    metricsOf: (operator) => metrics.get(operator),
  });
  const valuesOf = (output: string): unknown[] => {
    for (const writer of chain.writers) writer.flush(true);
    return (sent.get(output) ?? []).flatMap((buffer) =>
      buffer.kind === 'batch' ? buffer.values : [],
    );
  };
  const feed = (...values: readonly unknown[]): void =>
    chain.collectBatch?.(
      values,
      values.map((_, index) => index),
      values.length,
    );
  return { chain, tees, valuesOf, feed, sent, metrics };
}

test('map, filter and flatMap run inline, one behind the other', (t) => {
  const { feed, valuesOf, chain } = build(
    [
      { name: 'plus', functions: map((n) => n + 1) },
      { name: 'even', from: 'plus', functions: filter((n) => n % 2 === 0) },
      { name: 'twice', from: 'even', functions: flatMap((n) => [n, -n]) },
    ],
    ['twice/main'],
  );
  feed(1, 2, 3);
  t.deepEqual(valuesOf('twice/main'), [2, -2, 4, -4]);
  t.is(chain.operators.length, 0);
});

test('flatMap takes any iterable: a generator, a set, a string, nothing', (t) => {
  const iterables: readonly Iterable<unknown>[] = [
    (function* () {
      yield 1;
      yield 2;
    })(),
    new Set(['a', 'b']),
    'xy',
    [],
  ];
  const { feed, valuesOf } = build(
    [{ name: 'spread', functions: flatMap((n) => iterables[n] ?? []) }],
    ['spread/main'],
  );
  feed(0, 1, 2, 3);
  t.deepEqual(valuesOf('spread/main'), [1, 2, 'a', 'b', 'x', 'y']);
});

test('only the first records of a batch that is reused are taken', (t) => {
  const { chain, valuesOf } = build([{ name: 'same', functions: map((n) => n) }], ['same/main']);
  chain.collectBatch?.([1, 2, 3], new Float64Array([5, 6, 7]), 2);
  t.deepEqual(valuesOf('same/main'), [1, 2]);
});

test('the head hears of a batch in advance, but not of records for every subtask', (t) => {
  const edge = { fromVertex: 'w', fromOperator: 'w', fromOutput: MAIN_OUTPUT, toVertex: 'v' };
  const { chain, tees, valuesOf } = build(
    [{ name: 'tee' }],
    ['tee/main'],
    [
      { ...edge, index: 0, firstChannel: 0, partitioning: 'hash' },
      { ...edge, index: 1, firstChannel: 1, partitioning: 'broadcast' },
    ],
  );
  chain.collectBatch?.([2, 4, 6], [0, 0, 0], 2);
  chain.collectBroadcastBatch?.([8], [0], 1);
  t.deepEqual(tees.get('tee')?.prefetched, [2, 4]);
  t.deepEqual(valuesOf('tee/main'), [2, 4, 8]);
});

test('an output reaches all of its consumers: operators, objects and edges', (t) => {
  const { feed, valuesOf, tees } = build(
    [
      { name: 'head', functions: map((n) => n * 10) },
      { name: 'left', from: 'head', functions: map((n) => n + 1) },
      { name: 'tee', from: 'head', outputs: [MAIN_OUTPUT, 'odd'] },
      { name: 'after', from: 'tee', functions: map((n) => n + 2) },
    ],
    ['head/main', 'left/main', 'after/main'],
  );
  feed(1, 2);
  t.deepEqual(valuesOf('head/main'), [10, 20]);
  t.deepEqual(valuesOf('left/main'), [11, 21]);
  t.deepEqual(valuesOf('after/main'), [12, 22]);
  t.deepEqual([...tees.keys()], ['tee']);
});

test('side outputs lead on in the chain and to edges, and are counted apart', (t) => {
  const { feed, valuesOf, chain } = build(
    [
      { name: 'tee', outputs: [MAIN_OUTPUT, 'odd'] },
      { name: 'text', from: 'tee/odd', functions: map((n) => `odd ${n}`) },
    ],
    ['tee/main', 'tee/odd', 'text/main'],
  );
  feed(1, 2, 3);
  t.deepEqual(valuesOf('tee/main'), [1, 2, 3]);
  t.deepEqual(valuesOf('tee/odd'), [1, 3]);
  t.deepEqual(valuesOf('text/main'), ['odd 1', 'odd 3']);
  t.deepEqual(chain.counts(), [
    { operator: 'tee', recordsIn: 3, recordsOut: 3, sideOutputs: { odd: 2 } },
    { operator: 'text', recordsIn: 2, recordsOut: 2, sideOutputs: {} },
  ]);
});

test('what the connector of an operator has named is reported with its counts', (t) => {
  const { feed, chain, metrics } = build(
    [
      { name: 'even', functions: filter((n) => n % 2 === 0) },
      { name: 'all', from: 'even', functions: map((n) => n) },
    ],
    ['all/main'],
  );
  const group = new OperatorMetricGroup('all');
  metrics.set('all', group);
  group.counter('bytes_in').inc(3);
  feed(1, 2);
  t.deepEqual(chain.report(), [
    { operator: 'even', recordsIn: 2, recordsOut: 1, sideOutputs: {}, metrics: [] },
    {
      operator: 'all',
      recordsIn: 1,
      recordsOut: 1,
      sideOutputs: {},
      metrics: [{ kind: 'counter', name: 'bytes_in', value: 3 }],
    },
  ]);
});

test('an operator counts what goes in and out of it', (t) => {
  const { feed, chain } = build(
    [
      { name: 'spread', functions: flatMap((n) => Array.from({ length: n }, (_, i) => i)) },
      { name: 'even', from: 'spread', functions: filter((n) => n % 2 === 0) },
    ],
    ['even/main'],
  );
  feed(3, 0, 2);
  t.deepEqual(chain.counts(), [
    { operator: 'spread', recordsIn: 3, recordsOut: 5, sideOutputs: {} },
    { operator: 'even', recordsIn: 5, recordsOut: 3, sideOutputs: {} },
  ]);
});

for (const [kind, functionsOf] of [
  ['map', map],
  ['filter', filter],
  ['flatMap', flatMap],
] as const) {
  test(`what ${kind} throws names the operator and the record it was given`, (t) => {
    const thrown = new RangeError('too much');
    const name = `a "quoted" \\ name\nof ${kind}`;
    const fail = (): never => {
      throw thrown;
    };
    const { feed } = build(
      [
        { name: 'plus', functions: map((n) => n + 1) },
        { name, from: 'plus', functions: functionsOf(fail) },
      ],
      [],
    );
    const error = t.throws(() => feed(41));
    t.true(isMillraceError(error));
    if (!isMillraceError(error)) return;
    t.is(error.message, `USER_CODE_FAILED: operator "${name}" threw: too much; the record was 42`);
    t.deepEqual(error.location, { operator: name, record: '42' });
    t.is(error.cause, thrown);
  });
}

test('a generator that throws while it is read is the fault of its operator', (t) => {
  const { feed, valuesOf } = build(
    [
      {
        name: 'spread',
        functions: flatMap(function* () {
          yield 1;
          throw new Error('half way');
        }),
      },
    ],
    ['spread/main'],
  );
  t.throws(() => feed(7), {
    message: 'USER_CODE_FAILED: operator "spread" threw: half way; the record was 7',
  });
  t.deepEqual(valuesOf('spread/main'), []);
});

test('an error behind an operator object names the operator that threw and not the object', (t) => {
  const { feed } = build(
    [
      { name: 'tee', outputs: [MAIN_OUTPUT, 'odd'] },
      {
        name: 'strict',
        from: 'tee/odd',
        functions: map(() => {
          throw new Error('no odd numbers');
        }),
      },
    ],
    [],
  );
  feed(2);
  t.throws(() => feed(3), {
    message: 'USER_CODE_FAILED: operator "strict" threw: no odd numbers; the record was 3',
  });
});

test('marks pass inline operators and reach every object and edge once', (t) => {
  const { chain, tees, sent } = build(
    [
      { name: 'head', functions: map((n) => n) },
      { name: 'first', from: 'head', outputs: [MAIN_OUTPUT, 'odd'] },
      { name: 'inline', from: 'first/odd', functions: map((n) => n) },
      { name: 'second', from: 'inline' },
    ],
    ['head/main', 'second/main'],
  );
  chain.processWatermark(5);
  chain.processWatermarkStatus(true);
  t.deepEqual(
    [...tees].map(([name, { marks }]) => [name, marks]),
    [
      ['second', [5, true]],
      ['first', [5, true]],
    ],
  );
  const marks = [
    { kind: 'watermark', timestamp: 5 },
    { kind: 'watermarkStatus', idle: true },
  ];
  t.deepEqual([...sent.values()], [marks, marks]);
});

test('the chain is drained from its head on, each operator after what is before it', async (t) => {
  const { chain, tees } = build([{ name: 'first' }, { name: 'second', from: 'first' }], []);
  t.is(chain.drain(), undefined);
  const [first, second] = [tees.get('first'), tees.get('second')];
  if (first === undefined || second === undefined) return t.fail();
  let release: () => void = () => undefined;
  first.draining = new Promise((resolve) => (release = resolve));
  const before = second.drains;
  const draining = chain.drain();
  t.is(second.drains, before);
  release();
  await draining;
  t.is(second.drains, before + 1);
});
