/** Random scripts of state operations, run against an operator and the model side by side. */
import { inspect, isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';
import type { Key } from '../../../core/key-codec.js';
import type { TimeDomain } from '../../../worker/state/keyed-state-backend.js';
import { hostileKeys, WINDOWS, type Operator } from './state-fixture.js';
import { emptyContents, keyText, StateModel, type ModelTimer } from './state-model.js';

type Step =
  | { readonly do: 'update' | 'reduce' | 'aggregate'; readonly key: Key; readonly n: number }
  | { readonly do: 'add' | 'put' | 'remove'; readonly key: Key; readonly text: string }
  | { readonly do: 'clear' | 'clearMap' | 'clearList'; readonly key: Key }
  | { readonly do: 'window'; readonly key: Key; readonly start: number; readonly n: number }
  | { readonly do: 'drop'; readonly start: number }
  | {
      readonly do: 'register' | 'delete';
      readonly key: Key;
      readonly domain: TimeDomain;
      readonly timestamp: number;
    }
  | { readonly do: 'advance'; readonly domain: TimeDomain; readonly timestamp: number }
  | { readonly do: 'rescale'; readonly parallelism: number };

const key = fc.constantFrom(...hostileKeys);
const n = fc.integer({ min: -100, max: 100 });
const text = fc.constantFrom('a', 'b', '__proto__', '', 'ü', '\ud800', 'long'.repeat(9));
const start = fc.constantFrom(...WINDOWS);
const domain = fc.constantFrom<TimeDomain[]>('eventTime', 'processingTime');
const timestamp = fc.integer({ min: -3, max: 9 });

const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ do: fc.constantFrom('update', 'reduce', 'aggregate'), key, n }),
  fc.record({ do: fc.constantFrom('add', 'put', 'remove'), key, text }),
  fc.record({ do: fc.constantFrom('clear', 'clearMap', 'clearList'), key }),
  fc.record({ do: fc.constant('window' as const), key, start, n }),
  fc.record({ do: fc.constant('drop' as const), start }),
  fc.record({ do: fc.constantFrom('register', 'delete'), key, domain, timestamp }),
  fc.record({ do: fc.constant('advance' as const), domain, timestamp }),
  fc.record({
    do: fc.constant('rescale' as const),
    parallelism: fc.constantFrom(1, 2, 3, 7),
  }),
);

export const scriptArbitrary = fc.array(step, { maxLength: 80, size: 'max' });

/** @throws when the operator and the model tell different things */
export async function runScript(first: Operator, script: readonly Step[]): Promise<void> {
  const model = new StateModel();
  const inputs = new Map<string, number[]>();
  let operator = first;
  for (const now of script) {
    if (now.do === 'rescale') {
      const rescaled = operator.rescaled(now.parallelism);
      await operator.close();
      operator = rescaled;
    } else if (now.do === 'advance') {
      expectSame(
        sorted(operator.advance(now.domain, now.timestamp)),
        sorted(model.advance(now.domain, now.timestamp)),
      );
    } else if (now.do === 'drop') {
      for (const { windows } of operator.subtasks) windows.drop(now.start);
      for (const contents of model.keys.values()) contents.windows.delete(now.start);
    } else {
      await perform(operator, model, inputs, now);
    }
  }
  operator = operator.rescaled(3);
  for (const hostile of hostileKeys) {
    const expected = model.keys.get(keyText(hostile)) ?? emptyContents();
    expectSame(await operator.contents(hostile), expected);
  }
  for (const time of ['eventTime', 'processingTime'] as const) {
    expectSame(sorted(operator.advance(time, 99)), sorted(model.advance(time, 99)));
  }
  await operator.close();
}

async function perform(
  operator: Operator,
  model: StateModel,
  inputs: Map<string, number[]>,
  now: Extract<Step, { readonly key: Key }>,
): Promise<void> {
  const state = await operator.at(now.key);
  const expected = model.of(now.key);
  switch (now.do) {
    case 'update':
      state.value.update(now.n);
      expected.value = now.n;
      break;
    case 'reduce':
      state.sum.add(now.n);
      expected.sum = (expected.sum ?? 0) + now.n;
      break;
    case 'aggregate': {
      state.mean.add(now.n);
      const all = [...(inputs.get(keyText(now.key)) ?? []), now.n];
      inputs.set(keyText(now.key), all);
      expected.mean = all.reduce((a, b) => a + b, 0) / all.length;
      break;
    }
    case 'add':
      state.list.add(now.text);
      expected.list.push(now.text);
      break;
    case 'put':
      state.map.put(now.text, { n: now.text.length, note: now.text });
      expected.map.set(now.text, { n: now.text.length, note: now.text });
      break;
    case 'remove':
      state.map.remove(now.text);
      expected.map.delete(now.text);
      break;
    case 'clear':
      state.value.clear();
      state.sum.clear();
      expected.value = undefined;
      expected.sum = undefined;
      break;
    case 'clearMap':
      state.map.clear();
      expected.map.clear();
      break;
    case 'clearList':
      state.list.update([]);
      expected.list = [];
      break;
    case 'window':
      state.windows.put(now.start, now.n);
      expected.windows.set(now.start, now.n);
      break;
    case 'register':
      state.backend.timers.register(now.domain, now.timestamp);
      model.register(now);
      break;
    case 'delete':
      state.backend.timers.delete(now.domain, now.timestamp);
      model.delete(now);
      break;
  }
}

/** Subtasks advance one after the other, so only the order within a key is compared. */
function sorted(timers: readonly ModelTimer[]): readonly string[] {
  return timers
    .map((timer) => `${keyText(timer.key)} ${String(timer.timestamp).padStart(3)}`)
    .sort();
}

/** Not an assertion of the test runner, so that a failing script can still be shrunk. */
function expectSame(actual: unknown, expected: unknown): void {
  if (isDeepStrictEqual(actual, expected)) return;
  throw new Error(`the backend has ${inspect(actual)}, the model ${inspect(expected)}`);
}
