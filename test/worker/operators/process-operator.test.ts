/** The keyed process operator, alone and through snapshots and restores. */
import test from 'ava';
import fc from 'fast-check';
import {
  aggregatingState,
  isMillraceError,
  listState,
  mapState,
  reducingState,
  t as types,
  valueState,
  type ProcessContext,
  type TimerContext,
} from '../../../api/index.js';
import { MAX_WATERMARK } from '../../../core/watermark.js';
import { ProcessOperator } from '../../../worker/operators/process-operator.js';
import { OperatorHarness } from './operator-harness.js';
import { assertUndisturbed, stepsArbitrary } from './operator-steps.js';

interface Visit {
  readonly key: string;
  readonly n: number;
}

const states = {
  last: valueState(types.float64),
  all: listState(types.float64),
  counts: mapState(types.float64),
  sum: reducingState(types.float64, (a, b) => a + b),
  mean: aggregatingState(types.record({ sum: types.float64, count: types.float64 }), {
    createAccumulator: () => ({ sum: 0, count: 0 }),
    add: ({ sum, count }, n: number) => ({ sum: sum + n, count: count + 1 }),
    getResult: ({ sum, count }) => sum / count,
  }),
};

type Context = ProcessContext<
  string,
  typeof states,
  unknown,
  { readonly odd: typeof types.string }
>;
type Timed = TimerContext<string, typeof states, unknown, { readonly odd: typeof types.string }>;

interface Callbacks {
  readonly onElement: (visit: Visit, ctx: Context) => void;
  readonly onTimer?: (timestamp: number, ctx: Timed) => void;
}

function open({ onElement, onTimer }: Callbacks): Promise<OperatorHarness<ProcessOperator>> {
  const process = {
    state: states,
    output: types.string,
    sideOutputs: { odd: types.string },
    onElement,
    ...(onTimer === undefined ? {} : { onTimer }),
  };
  return OperatorHarness.open({
    create: ({ backend, output, clock }) =>
      new ProcessOperator({
        name: 'visits',
        process: process,
        selectKey: (record) => (record as Visit).key,
        backend,
        output,
        now: () => clock.now(),
      }),
  });
}

/** Everything that the current key has in every state, after taking `n` in. */
function remember(n: number, { state }: Context): string {
  state.last.update(n);
  state.all.add(n);
  state.counts.put(`n${n}`, (state.counts.get(`n${n}`) ?? 0) + 1);
  state.sum.add(n);
  state.mean.add(n);
  return JSON.stringify({
    last: state.last.value(),
    all: [...state.all.get()],
    counts: [...state.counts.entries()].sort(([a], [b]) => (a < b ? -1 : 1)),
    sum: state.sum.get(),
    mean: state.mean.get(),
  });
}

test('each kind of state is kept for each key apart, over a restore too', async (t) => {
  const harness = await open({
    onElement: ({ key, n }, ctx) => ctx.collect(`${key} ${remember(n, ctx)}`),
  });
  await harness.record({ key: 'a', n: 1 }, 0);
  await harness.record({ key: 'b', n: 5 }, 0);
  await harness.restart();
  await harness.record({ key: 'a', n: 3 }, 0);
  t.deepEqual(harness.takeValues(), [
    'a {"last":1,"all":[1],"counts":[["n1",1]],"sum":1,"mean":1}',
    'b {"last":5,"all":[5],"counts":[["n5",1]],"sum":5,"mean":5}',
    'a {"last":3,"all":[1,3],"counts":[["n1",1],["n3",1]],"sum":4,"mean":2}',
  ]);
});

test('a side output carries the timestamp of the record', async (t) => {
  const harness = await open({
    onElement: ({ key, n }, ctx) => {
      if (n % 2 === 1) ctx.sideOutput('odd', key);
      else ctx.collect(key);
    },
  });
  await harness.record({ key: 'a', n: 1 }, 7);
  await harness.record({ key: 'b', n: 2 }, 8);
  t.deepEqual(harness.take(), [
    { kind: 'side', output: 'odd', value: 'a', timestamp: 7 },
    { kind: 'record', value: 'b', timestamp: 8 },
  ]);
});

test('timers of event time fire in order of time, once each, before the watermark goes on', async (t) => {
  const harness = await open({
    onElement: ({ n }, { timers }) => {
      timers.registerEventTimeTimer(n);
      timers.registerEventTimeTimer(n);
    },
    onTimer: (timestamp, ctx) => ctx.collect(`${ctx.key}@${timestamp}`),
  });
  for (const [key, n] of [
    ['a', 30],
    ['b', 10],
    ['a', 10],
    ['a', 10],
    ['a', 31],
  ] as const) {
    await harness.record({ key, n }, 0);
  }
  await harness.watermark(9);
  await harness.watermark(30);
  t.deepEqual(harness.take(), [
    { kind: 'watermark', timestamp: 9 },
    { kind: 'record', value: 'b@10', timestamp: 10 },
    { kind: 'record', value: 'a@10', timestamp: 10 },
    { kind: 'record', value: 'a@30', timestamp: 30 },
    { kind: 'watermark', timestamp: 30 },
  ]);
});

test('a deleted timer does not fire; another key’s timer at the same time does', async (t) => {
  const harness = await open({
    onElement: ({ n }, { timers }) => {
      if (n > 0) timers.registerEventTimeTimer(n);
      else timers.deleteEventTimeTimer(-n);
    },
    onTimer: (timestamp, ctx) => ctx.collect(`${ctx.key}@${timestamp}`),
  });
  await harness.record({ key: 'a', n: 10 }, 0);
  await harness.record({ key: 'b', n: 10 }, 0);
  await harness.restart();
  await harness.record({ key: 'a', n: -10 }, 0);
  await harness.record({ key: 'a', n: -99 }, 0);
  await harness.watermark(MAX_WATERMARK);
  t.deepEqual(harness.takeValues(), ['b@10']);
});

test('a timer that its callback registers again fires under the same watermark when it is due', async (t) => {
  const harness = await open({
    onElement: ({ n }, { timers }) => timers.registerEventTimeTimer(n),
    onTimer: (timestamp, ctx) => {
      ctx.collect(timestamp);
      if (timestamp < 50) ctx.timers.registerEventTimeTimer(timestamp + 10);
    },
  });
  await harness.record({ key: 'a', n: 10 }, 0);
  await harness.watermark(35);
  t.deepEqual(harness.takeValues(), [10, 20, 30]);
  await harness.watermark(40);
  t.deepEqual(harness.takeValues(), [40]);
});

test('a timer behind the watermark fires with the next watermark and not before', async (t) => {
  const harness = await open({
    onElement: ({ n }, { timers }) => timers.registerEventTimeTimer(n),
    onTimer: (timestamp, ctx) => ctx.collect(timestamp),
  });
  await harness.watermark(100);
  await harness.record({ key: 'a', n: 10 }, 100);
  t.deepEqual(harness.takeValues(), []);
  await harness.watermark(101);
  t.deepEqual(harness.takeValues(), [10]);
});

test('more timers than fire at once all fire, in order, before the watermark goes on', async (t) => {
  const harness = await open({
    onElement: ({ n }, { timers }) => {
      timers.registerEventTimeTimer(n);
      timers.registerProcessingTimeTimer(1);
    },
    onTimer: (timestamp, ctx) => ctx.collect(ctx.timeDomain === 'eventTime' ? timestamp : ctx.key),
  });
  const times = Array.from({ length: 5_000 }, (_, n) => n);
  for (const n of times) await harness.record({ key: `k${n}`, n }, 0);
  harness.operator.processWatermark(5_000);
  t.true(harness.operator.proceed());
  t.true(harness.take().every(({ kind }) => kind === 'record'));
  await harness.restart();
  await harness.watermark(5_000);
  const left = harness.take();
  t.deepEqual(left.at(-1), { kind: 'watermark', timestamp: 5_000 });
  t.deepEqual(
    left.slice(0, -1).map((one) => one.kind === 'record' && one.value),
    times.slice(5_001 - left.length),
  );
  await harness.apply({ kind: 'time', byMs: 1 });
  t.is(new Set(harness.takeValues()).size, 5_000);
});

test('timers of processing time follow the clock, and what they emit has no event time', async (t) => {
  const harness = await open({
    onElement: ({ n }, { timers, processingTime }) =>
      timers.registerProcessingTimeTimer(processingTime + n),
    onTimer: (timestamp, ctx) => ctx.collect(`${ctx.key} ${ctx.timeDomain} ${timestamp}`),
  });
  await harness.record({ key: 'a', n: 10 }, 77);
  await harness.watermark(1000);
  await harness.apply({ kind: 'time', byMs: 9 });
  t.is(harness.operator.advanceProcessingTime(9), 10);
  harness.take();
  await harness.record({ key: 'b', n: 50 }, 78);
  await harness.apply({ kind: 'time', byMs: 1 });
  t.deepEqual(harness.take(), [
    { kind: 'record', value: 'a processingTime 10', timestamp: -Infinity },
  ]);
  t.is(harness.operator.advanceProcessingTime(10), 59);
});

test('the context has the time of the record, the watermark it meets, and the time of the timer', async (t) => {
  const seen: unknown[] = [];
  const harness = await open({
    onElement: ({ n }, ctx) => {
      seen.push([ctx.key, ctx.timestamp, ctx.watermark, ctx.processingTime]);
      ctx.timers.registerEventTimeTimer(n);
    },
    onTimer: (timestamp, ctx) =>
      seen.push([ctx.key, timestamp, ctx.timestamp, ctx.watermark, ctx.timeDomain]),
  });
  await harness.record({ key: 'a', n: 20 }, -Infinity);
  await harness.watermark(15);
  await harness.apply({ kind: 'time', byMs: 3 });
  await harness.record({ key: 'b', n: 21 }, 16);
  await harness.watermark(25);
  t.deepEqual(seen, [
    ['a', -Infinity, -Infinity, 0],
    ['b', 16, 15, 3],
    ['a', 20, 20, 25, 'eventTime'],
    ['b', 21, 21, 25, 'eventTime'],
  ]);
});

test('what onElement throws names the operator and the record and keeps the user’s stack', async (t) => {
  const thrown = new RangeError('no such shop');
  const harness = await open({
    onElement: () => {
      throw thrown;
    },
  });
  const error = await t.throwsAsync(harness.record({ key: 'a', n: 1 }, 0));
  t.true(isMillraceError(error));
  if (!isMillraceError(error)) return;
  t.is(
    error.message,
    'USER_CODE_FAILED: operator "visits" threw in onElement: no such shop; the record was {"key":"a","n":1}',
  );
  t.deepEqual(error.location, { operator: 'visits', record: '{"key":"a","n":1}' });
  t.is(error.cause, thrown);
});

test('what onTimer throws names the operator, the key and the time', async (t) => {
  const thrown = new TypeError('no such thing');
  const harness = await open({
    onElement: ({ n }, { timers }) => timers.registerEventTimeTimer(n),
    onTimer: () => {
      throw thrown;
    },
  });
  await harness.record({ key: 'a', n: 5 }, 0);
  const error = await t.throwsAsync(harness.watermark(5), {
    message:
      'USER_CODE_FAILED: operator "visits" threw in onTimer: no such thing; the record was {"key":"a","timestamp":5}',
  });
  t.is(error.cause, thrown);
});

test('an idle input makes the output idle', async (t) => {
  const harness = await open({ onElement: () => undefined });
  await harness.apply({ kind: 'status', idle: true }, { kind: 'status', idle: false });
  t.deepEqual(harness.take(), [
    { kind: 'status', idle: true },
    { kind: 'status', idle: false },
  ]);
});

test('property: no snapshot, restore or failure changes what comes out', async (t) => {
  const visit = fc.record({ key: fc.constantFrom('a', 'b', 'c'), n: fc.nat(9) });
  await assertUndisturbed(
    stepsArbitrary(visit),
    async () => ({
      run: undefined,
      harness: await open({
        onElement: ({ key, n }, ctx) => {
          ctx.collect(`${key}${n} ${remember(n, ctx)}`);
          if (n === 7) ctx.state.all.clear();
          if (n % 3 === 0) ctx.timers.registerEventTimeTimer(ctx.timestamp + n);
          if (n % 3 === 1) ctx.timers.deleteEventTimeTimer(ctx.timestamp + n - 1);
          if (n % 3 === 2) ctx.timers.registerProcessingTimeTimer(ctx.processingTime + n);
          if (n === 8) ctx.sideOutput('odd', key);
        },
        onTimer: (timestamp, ctx) => {
          ctx.collect(`${ctx.key} ${ctx.timeDomain} ${timestamp} ${ctx.state.sum.get() ?? 0}`);
          if (timestamp % 5 === 0) ctx.timers.registerEventTimeTimer(timestamp + 1);
          if (timestamp % 7 === 0) ctx.state.sum.clear();
        },
      }),
    }),
    (actual, expected) => t.deepEqual(actual, expected),
  );
});
