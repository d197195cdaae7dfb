import test from 'ava';
import {
  isMillraceError,
  job,
  param,
  t as types,
  type Job,
  type JobOptions,
  type Params,
} from '../../api/index.js';
import { resolvePaths } from '../../api/params.js';
import { describedSink, describedSource, Order, sampleJob } from './sample-job.js';

function messageOf(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    if (isMillraceError(error)) return error.message;
    throw error;
  }
  return '';
}

test('two operators with one name are a build error that shows both places', (t) => {
  const doubled: Job = job('doubled', {}, (env) => {
    const orders = env.source('orders', describedSource(Order));
    orders.map('again', (order) => order).sinkTo('a', describedSink());
    orders.map('again', (order) => order).sinkTo('b', describedSink());
  });
  const message = messageOf(() => doubled.build({}));
  t.regex(message, /^OPERATOR_NAME_DUPLICATE: two operators are named "again"/);
  t.is(message.match(/job\.test\.(?:js|ts):\d+:\d+/g)?.length, 2);
});

test('a missing name is a build error that shows the place', (t) => {
  const nameless = job('nameless', {}, (env) => {
    env.source('', describedSource(Order)).sinkTo('a', describedSink());
  });
  t.regex(
    messageOf(() => nameless.build({})),
    /^OPERATOR_NAME_INVALID: .*job\.test\.(?:js|ts):\d+/,
  );
});

test('a builder that throws is named as such', (t) => {
  const broken = job('broken', {}, () => {
    throw new TypeError('no such thing');
  });
  t.is(
    messageOf(() => broken.build({})),
    'USER_CODE_FAILED: the builder of job "broken" threw: no such thing; correct it where the stack points, and try again',
  );
});

test('a filter keeps the schema of what it filters', (t) => {
  const { transformations } = sampleJob.build({});
  t.is(transformations.get('large')?.outputSchemas.get('main'), Order);
});

test('a builder that runs twice declares the same graph', (t) => {
  t.deepEqual(sampleJob.build({}).graph, sampleJob.build({}).graph);
});

const withState = (state: NonNullable<JobOptions<Params>['state']>): Job =>
  job('stateful', { state }, (env) => {
    env.source('orders', describedSource(Order)).sinkTo('a', describedSink());
  });

test('keyed state is in memory unless told, and a budget that is too small is told the least', (t) => {
  const MIB = 1024 * 1024;
  t.deepEqual(sampleJob.build({}).graph.state, { backend: 'memory', memoryBytesMax: 256 * MIB });
  t.deepEqual(withState({ backend: 'rocksdb', memoryBytesMax: 16 * MIB }).build({}).graph.state, {
    backend: 'rocksdb',
    memoryBytesMax: 16 * MIB,
  });
  t.is(
    messageOf(() => withState({ memoryBytesMax: 16 * MIB - 1 }).build({})),
    'JOB_INVALID: state.memoryBytesMax is 16777215, too little to work with; give at least 16777216 (16 MiB)',
  );
  for (const memoryBytesMax of [NaN, 20 * MIB + 0.5, 17 * 1024 * MIB]) {
    t.regex(
      messageOf(() => withState({ memoryBytesMax }).build({})),
      /state\.memoryBytesMax is .*; give a whole number from 16777216 to 17179869184/,
    );
  }
  const misspelt = withState({ backend: 'RocksDB' as 'rocksdb' });
  t.is(
    messageOf(() => misspelt.build({})),
    'JOB_INVALID: state.backend is "RocksDB"; choose memory or rocksdb',
  );
});

const withParams = (params: Parameters<typeof job>[1]['params']): Job =>
  job('params', { params: params ?? {} }, (env) => {
    env.source('orders', describedSource(Order)).sinkTo('a', describedSink());
  });

test('parameters are parsed by type, and a wrong value says what fits', (t) => {
  const rated = withParams({
    rate: param.integer({ help: 'records per second', min: 1, max: 10 }),
  });
  t.notThrows(() => rated.build({ rate: '5' }));
  t.is(
    messageOf(() => rated.build({ rate: 'fast' })),
    'PARAM_INVALID: parameter "rate" is "fast"; give a whole number of at least 1 and at most 10 (records per second)',
  );
  t.regex(
    messageOf(() => rated.build({})),
    /parameter "rate" is missing; add --param rate=/,
  );
  t.regex(
    messageOf(() => rated.build({ rte: '1' })),
    /has no parameter "rte"; it takes:\n {2}--param rate=INTEGER/,
  );
});

test('a side output may not be called like the main output', (t) => {
  const clash = job('clash', {}, (env) => {
    env
      .source('orders', describedSource(Order))
      .keyBy((order) => order.user)
      .process('p', {
        output: types.string,
        sideOutputs: { main: types.string },
        onElement: () => undefined,
      })
      .sinkTo('a', describedSink());
  });
  t.regex(
    messageOf(() => clash.build({})),
    /names a side output "main"; rename it/,
  );
});

test('paths are made absolute where the job is submitted, defaults included', (t) => {
  const params = {
    input: param.path({ help: 'input' }),
    output: param.path({ help: 'output', default: './out' }),
    label: param.string({ help: 'label' }),
  };
  t.deepEqual(resolvePaths(params, { input: 'in.txt', label: 'in.txt' }, '/home/ann'), {
    input: '/home/ann/in.txt',
    output: '/home/ann/out',
    label: 'in.txt',
  });
  t.deepEqual(resolvePaths(params, { input: '/data/in.txt' }, '/home/ann'), {
    input: '/data/in.txt',
    output: '/home/ann/out',
  });
});

test('options that are misspelt, or not what they may be, are told by name', (t) => {
  const refused = (options: object, message: string): void => {
    const misspelt = job('misspelt', options, (env) => {
      env.source('orders', describedSource(Order)).sinkTo('a', describedSink());
    });
    t.throws(() => misspelt.build({}), { message: `PARAM_INVALID: job "misspelt": ${message}` });
  };
  refused({ paralelism: 2 }, 'paralelism is no option; did you mean parallelism?');
  refused(
    { checkpoint: { interval: 5 } },
    'checkpoint.interval is no option; did you mean intervalMs?',
  );
  refused(
    { checkpoint: { onCancel: 'drop' } },
    'checkpoint.onCancel is "drop"; give one of retain, delete',
  );
  const kinds = 'none, fixedDelay, failureRate, exponentialDelay';
  refused({ restart: { strategy: 'none' } }, `restart.kind is missing; give one of ${kinds}`);
  refused(
    { restart: { kind: 'none', attempts: 3 } },
    'restart.attempts is no option; there are kind',
  );
  refused(
    { restart: { kind: 'fixedDelay', attempts: 3 } },
    'restart.delayMs is missing; give a whole number from 0',
  );
  refused({ state: { bytes: 1 } }, 'state.bytes is no option; there are backend, memoryBytesMax');
});
