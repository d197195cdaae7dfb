/**
 * Random scripts of state operations, checkpoints that are written while the operations go on,
 * failures and restores, run against an operator and the model side by side.
 */
import { inspect, isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';
import type { ListState } from '../../../api/state.js';
import type { Key } from '../../../core/key-codec.js';
import type { TimeDomain } from '../../../worker/state/keyed-state-backend.js';
import { hostileKeys, WINDOWS, type Operator } from './state-fixture.js';
import type { RunCopies } from './run-copies.js';
import { emptyContents, keyText, StateModel, type ModelTimer } from './state-model.js';

type Step =
  | { readonly do: 'update' | 'reduce' | 'aggregate'; readonly key: Key; readonly n: number }
  | { readonly do: 'add' | 'put' | 'remove'; readonly key: Key; readonly text: string }
  /** Twenty elements at once: large collections are logged in another way than small ones. */
  | { readonly do: 'fill'; readonly key: Key; readonly n: number }
  | { readonly do: 'clear' | 'clearMap' | 'clearList'; readonly key: Key }
  /** A list grows by its own elements, or by three of each, or every other one is left of it. */
  | { readonly do: 'double' | 'repeat' | 'thin'; readonly key: Key }
  | { readonly do: 'window'; readonly key: Key; readonly start: number; readonly n: number }
  | { readonly do: 'drop'; readonly start: number }
  | {
      readonly do: 'register' | 'delete';
      readonly key: Key;
      readonly domain: TimeDomain;
      readonly timestamp: number;
    }
  | { readonly do: 'advance'; readonly domain: TimeDomain; readonly timestamp: number }
  /** A snapshot of this moment, written while the script goes on. */
  | { readonly do: 'checkpoint' }
  /** The background gets a turn. */
  | { readonly do: 'turn' }
  /** Everything since the last checkpoint is lost. */
  | { readonly do: 'fail'; readonly parallelism: number }
  /** A checkpoint, and on from it. */
  | { readonly do: 'rescale'; readonly parallelism: number };

/** Mostly the same few, so that a story comes back to its keys. */
const key = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom(...hostileKeys.slice(0, 5)) },
  { weight: 1, arbitrary: fc.constantFrom(...hostileKeys) },
);
const n = fc.integer({ min: -100, max: 100 });
const text = fc.constantFrom(
  'filled 3',
  'filled 11',
  'a',
  'b',
  '__proto__',
  '',
  'ü',
  '\ud800',
  'long'.repeat(9),
);
/** A list of more elements does not grow by itself. */
const LIST_MAX = 100;
const start = fc.constantFrom(...WINDOWS);
const domain = fc.constantFrom<TimeDomain[]>('eventTime', 'processingTime');
const timestamp = fc.integer({ min: -3, max: 9 });

const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ do: fc.constantFrom('update', 'reduce', 'aggregate'), key, n }),
  fc.record({ do: fc.constantFrom('add', 'put', 'remove'), key, text }),
  fc.record({ do: fc.constant('fill' as const), key, n }),
  fc.record({ do: fc.constantFrom('clear', 'clearMap', 'clearList'), key }),
  fc.record({ do: fc.constantFrom('double', 'repeat', 'thin'), key }),
  fc.record({ do: fc.constant('window' as const), key, start, n }),
  fc.record({ do: fc.constant('drop' as const), start }),
  fc.record({ do: fc.constantFrom('register', 'delete'), key, domain, timestamp }),
  fc.record({ do: fc.constant('advance' as const), domain, timestamp }),
  fc.record({ do: fc.constantFrom('checkpoint', 'turn') }),
  fc.record({ do: fc.constantFrom('fail', 'rescale'), parallelism: fc.constantFrom(1, 2, 3, 7) }),
);

export const scriptArbitrary = fc.array(step, { maxLength: 80, size: 'max' });

/** @throws when the operator and the model tell different things */
export async function runScript(first: Operator, script: readonly Step[]): Promise<void> {
  const history = new History(first);
  for (const step of script) await history.perform(step);
  await history.finish();
}

interface Checkpoint {
  readonly lists: Promise<readonly RunCopies[]>;
  readonly model: StateModel;
}

class History {
  #operator: Operator;
  #model = new StateModel();
  #checkpoint: Checkpoint | undefined;

  constructor(first: Operator) {
    this.#operator = first;
  }

  async perform(step: Step): Promise<void> {
    const operator = this.#operator;
    const model = this.#model;
    switch (step.do) {
      case 'checkpoint':
        await this.#checkpoint?.lists;
        this.#checkpoint = { lists: operator.snapshot(), model: model.copy() };
        break;
      case 'turn':
        await new Promise(setImmediate);
        break;
      case 'rescale':
        await this.perform({ do: 'checkpoint' });
        await this.perform({ ...step, do: 'fail' });
        break;
      case 'fail':
        this.#operator = operator.restored(step.parallelism, (await this.#checkpoint?.lists) ?? []);
        this.#model = this.#checkpoint?.model.copy() ?? new StateModel();
        await operator.close();
        break;
      case 'advance':
        expectSame(
          sorted(operator.advance(step.domain, step.timestamp)),
          sorted(model.advance(step.domain, step.timestamp)),
        );
        break;
      case 'drop':
        for (const { windows } of operator.subtasks) windows.drop(step.start);
        for (const contents of model.keys.values()) contents.windows.delete(step.start);
        break;
      default:
        await perform(operator, model, step);
    }
  }

  /** All that there is, after one more restore. */
  async finish(): Promise<void> {
    await this.perform({ do: 'rescale', parallelism: 3 });
    for (const hostile of hostileKeys) {
      const expected = this.#model.keys.get(keyText(hostile)) ?? emptyContents();
      expectSame(await this.#operator.contents(hostile), expected);
    }
    for (const time of ['eventTime', 'processingTime'] as const) {
      expectSame(sorted(this.#operator.advance(time, 99)), sorted(this.#model.advance(time, 99)));
    }
    await this.#operator.close();
  }
}

async function perform(
  operator: Operator,
  model: StateModel,
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
      const all = [...(model.inputs.get(keyText(now.key)) ?? []), now.n];
      model.inputs.set(keyText(now.key), all);
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
    case 'fill':
      for (let i = 0; i < 20; i++) {
        const name = `filled ${String((now.n + i) & 31)}`;
        state.map.put(name, { n: now.n });
        expected.map.set(name, { n: now.n });
        state.list.add(name);
        expected.list.push(name);
      }
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
    case 'double':
      if (expected.list.length > LIST_MAX) break;
      state.list.addAll(state.list.get());
      expected.list.push(...expected.list);
      break;
    case 'repeat':
      if (expected.list.length > LIST_MAX) break;
      state.list.addAll(repeated(state.list));
      expected.list.push(...expected.list.flatMap((element) => [element, element, element]));
      break;
    case 'thin':
      state.list.update(thinned(state.list));
      expected.list = expected.list.filter((_, index) => index % 2 === 1);
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

function* repeated(list: ListState<string>): Iterable<string> {
  for (const element of list.get()) yield* [element, element, element];
}

function* thinned(list: ListState<string>): Iterable<string> {
  let index = 0;
  for (const element of list.get()) if (index++ % 2 === 1) yield element;
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
