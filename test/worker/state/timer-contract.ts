/** The contract of timers: one per key, domain and timestamp; order; what callbacks may do. */
import test from 'ava';
import { Operator, type CreateBackend } from './state-fixture.js';

export function timerContract(create: CreateBackend): void {
  test('timers fire by timestamp, then in order of registration', async (t) => {
    const operator = new Operator(create);
    for (const [key, timestamp] of [
      ['c', 20],
      ['a', 10],
      ['b', 20],
      ['a', 20],
      ['z', -5],
      ['b', 21],
    ] as const) {
      (await operator.at(key)).backend.timers.register('eventTime', timestamp);
    }
    const backend = (await operator.at('z')).backend;
    t.is(backend.timers.next('eventTime'), -5);
    t.deepEqual(
      operator.advance('eventTime', 20).map(({ key, timestamp }) => [timestamp, key]),
      [
        [-5, 'z'],
        [10, 'a'],
        [20, 'c'],
        [20, 'b'],
        [20, 'a'],
      ],
    );
    t.is(backend.timers.next('eventTime'), 21);
    t.deepEqual(operator.advance('eventTime', 20), []);
  });

  test('a timer registered twice fires once, in its first place', async (t) => {
    const operator = new Operator(create);
    for (const key of ['a', 'b', 'a']) {
      (await operator.at(key)).backend.timers.register('eventTime', 5);
    }
    t.deepEqual(
      operator.advance('eventTime', 9).map(({ key }) => key),
      ['a', 'b'],
    );
  });

  test('time domains do not meet', async (t) => {
    const operator = new Operator(create);
    const { timers } = (await operator.at('k')).backend;
    timers.register('eventTime', 5);
    timers.register('processingTime', 5);
    timers.delete('eventTime', 5);
    t.is(timers.next('eventTime'), undefined);
    t.deepEqual(operator.advance('eventTime', 9), []);
    t.deepEqual(operator.advance('processingTime', 9), [
      { key: 'k', domain: 'processingTime', timestamp: 5 },
    ]);
  });

  test('a deleted timer does not fire; deleting what is not there does nothing', async (t) => {
    const operator = new Operator(create);
    for (let i = 0; i < 200; i++) {
      (await operator.at(i % 7)).backend.timers.register('eventTime', (i * 37) % 101);
    }
    for (let i = 0; i < 200; i += 2) {
      (await operator.at(i % 7)).backend.timers.delete('eventTime', (i * 37) % 101);
    }
    (await operator.at('nobody')).backend.timers.delete('eventTime', 1);
    const deleted = new Set(
      Array.from({ length: 100 }, (_, i) => `${String((2 * i) % 7)} ${String((74 * i) % 101)}`),
    );
    const fired = operator.advance('eventTime', Infinity);
    t.false(
      fired.some(({ key, timestamp }) =>
        deleted.has(`${JSON.stringify(key).replaceAll('"', '')} ${timestamp}`),
      ),
    );
    t.deepEqual(
      fired.map(({ timestamp }) => timestamp),
      fired.map(({ timestamp }) => timestamp).sort((a, b) => a - b),
    );
    t.true(fired.length > 50);
  });

  test('what a callback registers fires at once when it is due, and waits when it is not', async (t) => {
    const operator = new Operator(create);
    const { backend } = await operator.at('k');
    backend.timers.register('eventTime', 1);
    const fired: number[] = [];
    backend.timers.advance('eventTime', 10, (timestamp) => {
      fired.push(timestamp);
      if (timestamp < 20) backend.timers.register('eventTime', timestamp + 4);
    });
    t.deepEqual(fired, [1, 5, 9]);
    t.is(backend.timers.next('eventTime'), 13);
  });

  test('a callback may register its own timestamp again, and delete one that is due', async (t) => {
    const operator = new Operator(create);
    const { backend } = await operator.at('k');
    for (const timestamp of [1, 2, 3]) backend.timers.register('eventTime', timestamp);
    const fired: number[] = [];
    backend.timers.advance('eventTime', 10, (timestamp) => {
      fired.push(timestamp);
      if (fired.length === 1) {
        backend.timers.register('eventTime', 1);
        backend.timers.delete('eventTime', 2);
      }
    });
    t.deepEqual(fired, [1, 1, 3]);
  });

  test('the state in a callback is that of the timer’s key', async (t) => {
    const operator = new Operator(create);
    for (const key of ['a', 'b']) {
      const { backend, sum } = await operator.at(key);
      sum.add(key === 'a' ? 1 : 2);
      backend.timers.register('eventTime', 5);
    }
    const { backend, sum, value } = await operator.at('other');
    backend.timers.advance('eventTime', 5, (_timestamp, key) => {
      t.is(backend.currentKey(), key);
      value.update((sum.get() ?? 0) * 10);
      sum.clear();
    });
    t.is((await operator.contents('a')).value, 10);
    t.is((await operator.contents('b')).value, 20);
    t.is((await operator.contents('b')).sum, undefined);
    t.is((await operator.contents('other')).value, undefined);
  });

  test('a key that only had a timer is gone once it fired', async (t) => {
    const operator = new Operator(create);
    const { backend, value } = await operator.at('k');
    backend.timers.register('eventTime', 5);
    operator.advance('eventTime', 5);
    t.is(backend.entryCount(), 0);
    value.update(1);
    t.is((await operator.contents('k')).value, 1);
  });

  test('the last watermark fires all, and NaN is no time', async (t) => {
    const operator = new Operator(create);
    const { timers } = (await operator.at('k')).backend;
    for (const timestamp of [Infinity, -Infinity, Number.MAX_SAFE_INTEGER]) {
      timers.register('eventTime', timestamp);
    }
    t.throws(() => {
      timers.register('eventTime', NaN);
    });
    t.is(operator.advance('eventTime', Infinity).length, 3);
  });
}
