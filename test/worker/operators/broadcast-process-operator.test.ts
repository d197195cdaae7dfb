/** Operators beside a broadcast stream, keyed and unkeyed, alone and through snapshots and restores. */
import test, { type ExecutionContext } from 'ava';
import fc from 'fast-check';
import {
  isMillraceError,
  mapState,
  t as types,
  valueState,
  type BroadcastContext,
  type BroadcastState,
  type KeyedReadOnlyContext,
  type KeyedReadOnlyTimerContext,
} from '../../../api/index.js';
import { BroadcastProcessOperator } from '../../../worker/operators/broadcast-process-operator.js';
import { BroadcastSide } from '../../../worker/operators/broadcast-side.js';
import { KeyedBroadcastProcessOperator } from '../../../worker/operators/keyed-broadcast-process-operator.js';
import {
  broadcastEntrySchema,
  type BroadcastEntry,
} from '../../../worker/operators/operator-state.js';
import { ProcessOperator } from '../../../worker/operators/process-operator.js';
import { HeapKeyedStateBackend } from '../../../worker/state/heap-keyed-state-backend.js';
import { ManualClock } from '../../manual-clock.js';
import { coldBelow } from '../state/cold-below.js';
import { DatabaseModel } from '../state/cold/database-model.js';
import { optionsOf } from '../state/state-fixture.js';
import { OperatorHarness, type OperatorSurroundings } from './operator-harness.js';
import { RecordedOutput } from './recorded-output.js';
import { assertUndisturbed, stepsArbitrary } from './operator-steps.js';

const Rule = types.record({ limit: types.int32, tags: types.array(types.string) });
const broadcastStates = { rules: mapState(Rule), names: mapState(types.string) };
const states = { sum: valueState(types.int32) };
type Broadcast = typeof broadcastStates;
type Sides = { readonly seen: typeof types.string };
type Keyed = KeyedReadOnlyContext<string, typeof states, Broadcast, unknown, Sides>;
type Timed = KeyedReadOnlyTimerContext<string, typeof states, Broadcast, unknown, Sides>;

interface Payment {
  readonly key: string;
  readonly n: number;
}
interface Change {
  readonly name: string;
  /** undefined: the rule goes. */
  readonly limit: number | undefined;
}

interface Callbacks {
  readonly onElement?: (payment: Payment, ctx: Keyed) => void;
  readonly onBroadcastElement?: (
    change: Change,
    ctx: BroadcastContext<Broadcast, unknown, Sides>,
  ) => void;
  readonly onTimer?: (timestamp: number, ctx: Timed) => void;
}

const apply: NonNullable<Callbacks['onBroadcastElement']> = ({ name, limit }, ctx) => {
  const { rules, names } = ctx.broadcastState;
  if (limit === undefined) rules.remove(name);
  else rules.put(name, { limit, tags: [`tag of ${name}`] });
  names.put('last', `the last one changed was ${name}`);
};

function sideOf(
  { output, clock, restored }: OperatorSurroundings,
  { onBroadcastElement = apply }: Callbacks,
  writesState = true,
): BroadcastSide {
  return new BroadcastSide({
    name: 'judge',
    process: { onBroadcastElement },
    states: broadcastStates,
    restored: (restored ?? []) as readonly BroadcastEntry[],
    writesState,
    output,
    now: () => clock.now(),
  });
}

const entrySchema = broadcastEntrySchema({ rules: Rule, names: types.string });

function create(
  surroundings: OperatorSurroundings,
  callbacks: Callbacks,
): KeyedBroadcastProcessOperator {
  const { backend, output, clock } = surroundings;
  const broadcast = sideOf(surroundings, callbacks);
  const { onElement = () => undefined, onTimer } = callbacks;
  const keyed = new ProcessOperator({
    name: 'judge',
    process: {
      state: states,
      output: types.string,
      sideOutputs: { seen: types.string },
      onElement,
      ...(onTimer === undefined ? {} : { onTimer }),
    },
    selectKey: (record) => (record as Payment).key,
    backend,
    output,
    broadcastState: broadcast.states.readOnly,
    now: () => clock.now(),
  });
  return new KeyedBroadcastProcessOperator(keyed, broadcast);
}

function open(callbacks: Callbacks): Promise<OperatorHarness<KeyedBroadcastProcessOperator>> {
  return OperatorHarness.open({
    entrySchema,
    create: (surroundings) => create(surroundings, callbacks),
  });
}

/** What a side sees, in the order of its entries. */
function describeRules(ctx: { readonly broadcastState: Keyed['broadcastState'] }): string {
  const { rules, names } = ctx.broadcastState;
  const all = [...rules.entries()].map(([name, { limit, tags }]) => `${name}:${limit}:${tags[0]}`);
  return [...all, names.get('last') ?? 'unchanged'].join(', ');
}

test('the keyed side sees what the broadcast side put and removed, over a restore too', async (t) => {
  const harness = await open({ onElement: (_, ctx) => ctx.collect(describeRules(ctx)) });
  const pay = (): Promise<void> => harness.record({ key: 'a', n: 1 }, 0);
  await pay();
  await harness.broadcast({ name: 'y', limit: 5 }, 1);
  await harness.broadcast({ name: 'x', limit: 6 }, 1);
  await harness.broadcast({ name: 'y', limit: 7 }, 1);
  await pay();
  await harness.restart();
  await pay();
  await harness.broadcast({ name: 'y', limit: undefined }, 1);
  await harness.restart();
  await pay();
  const both = 'y:7:tag of y, x:6:tag of x, the last one changed was y';
  const one = 'x:6:tag of x, the last one changed was y';
  t.deepEqual(harness.takeValues(), ['unchanged', both, both, one]);
});

test('either side puts out with the time of its record; the broadcast side knows the watermark', async (t) => {
  const harness = await open({
    onElement: ({ n }, ctx) => ctx.sideOutput('seen', `payment ${n}`),
    onBroadcastElement: ({ name }, ctx) =>
      ctx.collect(`${name} at ${ctx.timestamp}, ${ctx.watermark}, ${ctx.processingTime}`),
  });
  await harness.broadcast({ name: 'x', limit: 1 }, 7);
  await harness.watermark(20);
  await harness.broadcast({ name: 'y', limit: 1 }, 30);
  await harness.record({ key: 'a', n: 3 }, 31);
  t.deepEqual(harness.take(), [
    { kind: 'record', value: 'x at 7, -Infinity, 0', timestamp: 7 },
    { kind: 'watermark', timestamp: 20 },
    { kind: 'record', value: 'y at 30, 20, 0', timestamp: 30 },
    { kind: 'side', output: 'seen', value: 'payment 3', timestamp: 31 },
  ]);
});

test('timers of the keyed side see the broadcast state', async (t) => {
  const harness = await open({
    onElement: ({ n }, ctx) => ctx.timers.registerEventTimeTimer(n),
    onTimer: (timestamp, ctx) => ctx.collect(`${ctx.key} ${timestamp} ${describeRules(ctx)}`),
  });
  await harness.record({ key: 'a', n: 10 }, 0);
  await harness.broadcast({ name: 'x', limit: 1 }, 0);
  await harness.watermark(10);
  t.deepEqual(harness.takeValues(), ['a 10 x:1:tag of x, the last one changed was x']);
});

async function refuses(
  t: ExecutionContext,
  run: () => Promise<unknown>,
  message: RegExp,
): Promise<void> {
  const error = await t.throwsAsync(run);
  t.true(isMillraceError(error));
  t.regex(error?.message ?? '', message);
}

test('nothing but a broadcast record can change the state', async (t) => {
  let kept: BroadcastState<string> | undefined;
  const harness = await open({
    onBroadcastElement: (_, ctx) => {
      kept = ctx.broadcastState.names;
      kept.put('a', 'b');
    },
    onElement: ({ n }, ctx) => {
      const readOnly = ctx.broadcastState.names as Partial<BroadcastState<string>>;
      t.is(readOnly.put, undefined);
      t.is(readOnly.remove, undefined);
      if (n === 1) kept?.put('a', 'c');
      if (n === 2) kept?.remove('a');
      if (n === 3) kept?.clear();
    },
  });
  await harness.broadcast({ name: 'x', limit: 1 }, 0);
  for (const n of [1, 2, 3]) {
    const run = (): Promise<void> => harness.record({ key: 'a', n }, 0);
    await refuses(t, run, /STATE_INVALID: broadcast state "names" is changed outside of onBroad/);
  }
});

test('what is put is a frozen copy that its schema describes', async (t) => {
  const tags = ['first'];
  const harness = await open({
    onBroadcastElement: ({ name, limit }, ctx) => {
      const { rules } = ctx.broadcastState;
      rules.put(name, { limit: limit as number, tags });
      tags.push('added later');
      t.deepEqual(rules.get(name)?.tags, ['first']);
    },
    onElement: ({ n }, ctx) => {
      const rule = ctx.broadcastState.rules.get('x');
      if (n === 0) (rule?.tags as string[]).push('more');
      if (n === 1) Object.assign(rule ?? {}, { limit: 2 });
    },
  });
  await harness.broadcast({ name: 'x', limit: 1 }, 0);
  for (const n of [0, 1]) {
    const run = (): Promise<void> => harness.record({ key: 'a', n }, 0);
    await refuses(t, run, /^USER_CODE_FAILED: operator "judge" threw in onElement/);
  }
  const run = (): Promise<void> => harness.broadcast({ name: 'y', limit: 1.5 }, 0);
  await refuses(
    t,
    run,
    /^SCHEMA_MISMATCH: broadcast state "rules" .*field 'limit': expected int32/,
  );
});

test('what onBroadcastElement throws names the operator and the record', async (t) => {
  const harness = await open({
    onBroadcastElement: () => {
      throw new RangeError('no such rule');
    },
  });
  const run = (): Promise<void> => harness.broadcast({ name: 'x', limit: 1 }, 0);
  await refuses(t, run, /operator "judge" threw in onBroadcastElement: no such rule; .*"x"/);
});

test('one subtask of them writes the state, and none of the others', async (t) => {
  for (const writesState of [true, false]) {
    const harness = await OperatorHarness.open({
      entrySchema,
      create: (surroundings) =>
        new BroadcastProcessOperator({
          name: 'judge',
          process: { onElement: (_, ctx) => ctx.collect(ctx.broadcastState.names?.get('last')) },
          broadcast: sideOf(surroundings, {}, writesState),
          output: surroundings.output,
          now: () => 0,
        }),
    });
    await harness.broadcast({ name: 'x', limit: 1 }, 0);
    await harness.record({}, 0);
    await harness.restart();
    await harness.record({}, 0);
    const last = 'the last one changed was x';
    t.deepEqual(harness.takeValues(), [last, writesState ? last : undefined]);
  }
});

test('keys that are out of memory are brought in together before their batch', (t) => {
  const sums: (number | undefined)[] = [];
  const surroundings = {
    output: new RecordedOutput(),
    clock: new ManualClock(),
    restored: undefined,
    attempt: 1,
    post: (): void => undefined,
  };
  const onElement: Callbacks['onElement'] = ({ n }, { state }) => {
    sums.push(state.sum.value());
    state.sum.update(n);
  };
  const calls: number[] = [];
  const database = new (class extends DatabaseModel {
    override getMany(keys: readonly Uint8Array[]): readonly (Uint8Array | undefined)[] {
      calls.push(keys.length);
      return super.getMany(keys);
    }
  })();
  const backend = new HeapKeyedStateBackend({ ...optionsOf(), cold: coldBelow(database, 50_000) });
  const operator = create({ ...surroundings, backend }, { onElement });
  const payments = Array.from({ length: 2000 }, (_, n): Payment => ({ key: `key ${n}`, n }));
  for (const payment of payments) operator.processElement(payment, 0);
  const batch = payments.slice(0, 5);
  calls.length = 0;
  sums.length = 0;
  operator.prefetch(batch, [0, 0, 0, 0, 0], batch.length);
  t.deepEqual(calls, [batch.length]);
  for (const payment of batch) operator.processElement(payment, 0);
  t.deepEqual(calls, [batch.length]);
  t.deepEqual(
    sums,
    batch.map(({ n }) => n),
  );
});

test('property: no snapshot, restore or failure changes what comes out', async (t) => {
  const keys = fc.constantFrom('a', 'b', 'c');
  const payment = fc.record({ key: keys, n: fc.integer({ min: 0, max: 30 }) });
  const limit = fc.option(fc.nat(9), { nil: undefined });
  const change = fc.record({ name: fc.constantFrom('x', 'y', 'z'), limit });
  await assertUndisturbed(
    stepsArbitrary(payment, change),
    async () => ({
      harness: await open({
        onElement: ({ n }, ctx) => {
          ctx.state.sum.update((ctx.state.sum.value() ?? 0) + n);
          ctx.timers.registerEventTimeTimer(ctx.timestamp + n);
          ctx.collect(`${ctx.key} ${ctx.state.sum.value() ?? 0} ${describeRules(ctx)}`);
        },
        onTimer: (timestamp, ctx) =>
          ctx.collect(
            `${ctx.key} ${timestamp} ${ctx.state.sum.value() ?? 0} ${describeRules(ctx)}`,
          ),
      }),
      run: undefined,
    }),
    (actual, expected) => t.deepEqual(actual, expected),
  );
});
