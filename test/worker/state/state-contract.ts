/** The contract of state access: kinds of state, isolation of keys, windows. */
import test from 'ava';
import * as schema from '../../../api/schema-builder.js';
import { listState, valueState, type ValueState } from '../../../api/state.js';
import { hostileKeys, Operator, optionsOf, type CreateBackend } from './state-fixture.js';
import { emptyContents } from './state-model.js';

export function stateContract(create: CreateBackend): void {
  test('a key without state reads as empty in every kind of state', async (t) => {
    const operator = new Operator(create);
    t.deepEqual(await operator.contents('nobody'), emptyContents());
    const { map, list } = await operator.at('nobody');
    t.true(map.isEmpty());
    t.false(map.has('x'));
    map.remove('x');
    list.clear();
    t.is(operator.subtasks[0]?.backend.entryCount(), 0);
  });

  test('each kind of state keeps what it is given', async (t) => {
    const operator = new Operator(create);
    const { value, list, map, sum, mean } = await operator.at('k');
    value.update(1);
    value.update(2);
    list.add('a');
    list.addAll(['b', 'c']);
    map.put('__proto__', { n: 1 });
    map.put('', { n: 2, note: 'x' });
    map.put('gone', { n: 3 });
    map.remove('gone');
    for (const n of [1, 2, 6]) {
      sum.add(n);
      mean.add(n);
    }
    t.deepEqual(await operator.contents('k'), {
      ...emptyContents(),
      value: 2,
      list: ['a', 'b', 'c'],
      map: new Map([
        ['', { n: 2, note: 'x' }],
        ['__proto__', { n: 1 }],
      ]),
      sum: 9,
      mean: 3,
    });
    t.true(map.has('__proto__'));
    t.false(map.has('gone'));
    list.update(['z']);
    t.deepEqual([...list.get()], ['z']);
    list.update([]);
    for (const state of [value, list, map, sum, mean]) state.clear();
    t.deepEqual(await operator.contents('k'), emptyContents());
    t.is(operator.subtasks[0]?.backend.entryCount(), 0);
  });

  test('a record that was read stays as it was when its state changes', async (t) => {
    const operator = new Operator(create);
    const { backend } = await operator.at('k');
    const state = backend.state(
      'record',
      valueState(schema.record({ name: schema.string, n: schema.float64 })),
    ) as ValueState<{ readonly name: string; readonly n: number }>;
    state.update({ name: 'first', n: 1 });
    const first = state.value();
    state.update({ name: 'second', n: 2 });
    t.deepEqual(first, { name: 'first', n: 1 });
    t.deepEqual(state.value(), { name: 'second', n: 2 });
    backend.setCurrentKey('other');
    t.is(state.value(), undefined);
    backend.setCurrentKey('k');
    t.deepEqual(state.value(), { name: 'second', n: 2 });
  });

  test('a list added to itself doubles', async (t) => {
    const { list } = await new Operator(create).at('k');
    list.addAll(['a', 'b']);
    list.addAll(list.get());
    t.deepEqual([...list.get()], ['a', 'b', 'a', 'b']);
  });

  test('a list takes what is made from it while that is asked for', async (t) => {
    const { list } = await new Operator(create).at('k');
    const twice = function* (): Iterable<string> {
      for (const element of list.get()) yield* [element, `${element}'`];
    };
    list.addAll(['a', 'b']);
    list.addAll(twice());
    t.deepEqual([...list.get()], ['a', 'b', 'a', "a'", 'b', "b'"]);
    list.update(twice());
    const all = list.get();
    t.deepEqual([...all].length, 12);
    t.deepEqual([...all].slice(0, 3), ['a', "a'", 'b']);
    list.addAll(new Set<string>());
    list.update(new Set<string>());
    t.deepEqual([...list.get()], []);
  });

  test('keys of every type are told apart, hostile ones too', async (t) => {
    const operator = new Operator(create, 3);
    for (const [i, key] of hostileKeys.entries()) {
      const { value, list } = await operator.at(key);
      t.is(value.value(), undefined);
      value.update(i);
      list.add(String(i));
    }
    for (const [i, key] of hostileKeys.entries()) {
      const { backend, value, list } = await operator.at(key);
      t.is(value.value(), i);
      t.deepEqual([...list.get()], [String(i)]);
      t.deepEqual(backend.currentKey(), key);
    }
    const reordered = await operator.at({ shop: 1, user: 'a' });
    t.is(
      reordered.value.value(),
      hostileKeys.findIndex((key) => typeof key === 'object'),
    );
  });

  test('a composite key is copied when it is stored', async (t) => {
    const operator = new Operator(create);
    const key = { user: 'a', shop: 1 };
    const { backend, value } = await operator.at(key);
    value.update(1);
    backend.timers.register('eventTime', 5);
    key.user = 'changed';
    t.deepEqual(operator.advance('eventTime', 5)[0]?.key, { user: 'a', shop: 1 });
    t.is((await operator.at({ user: 'a', shop: 1 })).value.value(), 1);
  });

  test('a cleared key starts anew, also while it is the current one', async (t) => {
    const operator = new Operator(create);
    const { value, sum } = await operator.at('k');
    value.update(1);
    value.clear();
    t.is(value.value(), undefined);
    sum.add(4);
    value.update(2);
    await operator.at('other');
    const again = await operator.at('k');
    t.deepEqual([again.value.value(), again.sum.get()], [2, 4]);
  });

  test('a state is declared once and has one handle', (t) => {
    const backend = create(optionsOf());
    const descriptor = valueState(schema.string);
    t.is(backend.state('s', descriptor), backend.state('s', descriptor));
    t.throws(() => backend.state('s', listState(schema.string)), {
      code: 'STATE_INVALID',
      message: /'s' is declared twice/,
    });
    t.throws(() => backend.windowState('s', schema.string), { code: 'STATE_INVALID' });
    t.throws(() => backend.state('t', valueState(schema.string, { ttlMs: 0 })), {
      code: 'STATE_INVALID',
    });
  });

  test('state without a current key is refused', (t) => {
    const { value } = new Operator(create).subtasks[0] ?? t.fail();
    t.throws(() => value?.update(1), { code: 'INTERNAL' });
  });

  test('a window is visited and dropped with all of its keys and nothing else', async (t) => {
    const operator = new Operator(create);
    for (const [key, start, sum] of [
      ['b', 10, 1],
      ['a', -10, 2],
      ['a', 10, 3],
      ['c', 0, 4],
      ['b', 10, 5],
    ] as const) {
      (await operator.at(key)).windows.put(start, sum);
    }
    const { windows, value } = await operator.at('a');
    value.update(9);
    const visited = (start: number): unknown => {
      const seen: unknown[] = [];
      windows.forEach(start, 0, Infinity, (key, accumulator) => seen.push([key, accumulator]));
      return seen;
    };
    t.deepEqual(windows.windows(), [-10, 0, 10]);
    t.deepEqual(
      new Map(visited(10) as [string, number][]),
      new Map([
        ['b', 5],
        ['a', 3],
      ]),
    );
    const seen: number[] = [];
    for (const start of windows.windows()) {
      seen.push(start);
      windows.drop(start);
    }
    t.deepEqual(seen, [-10, 0, 10]);
    t.deepEqual([windows.windows(), visited(10)], [[], []]);
    t.deepEqual(await operator.contents('a'), { ...emptyContents(), value: 9 });
    windows.put(10, 7);
    t.deepEqual([windows.windows(), visited(10)], [[10], [['a', 7]]]);
  });

  test('dropping a window leaves the other windows of a key', async (t) => {
    const { windows } = await new Operator(create).at('k');
    for (const start of [0, 10, 20]) windows.put(start, start);
    windows.drop(10);
    t.deepEqual([windows.get(0), windows.get(10), windows.get(20)], [0, undefined, 20]);
  });
}
