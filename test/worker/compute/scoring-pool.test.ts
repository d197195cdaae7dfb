import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import test, { type ExecutionContext } from 'ava';
import type { MillraceError } from '../../../core/errors.js';
import { ScoringPool, type ScoringPoolOptions } from '../../../worker/compute/scoring-pool.js';
import { ask, modulePath, realClock, requestOf, transactions } from './scoring-fixture.js';

const double = modulePath('double');
const hostile = modulePath('hostile');

function poolOf(t: ExecutionContext, options: Partial<ScoringPoolOptions> = {}): ScoringPool {
  const pool = new ScoringPool({ clock: realClock, threadsMax: 2, ...options });
  t.teardown(() => pool.close());
  return pool;
}

test('results come as many as records and in their order, from several batches at once', async (t) => {
  const pool = poolOf(t);
  const sizes = [1, 300, 7, 64, 0, 1024];
  const batches = await Promise.all(sizes.map((size) => ask(pool, double, transactions(size))));
  t.deepEqual(
    batches,
    sizes.map((size) => transactions(size).map(({ id, price }) => ({ id, risk: price * 2 }))),
  );
});

test('a throw names module, index, record and message, and keeps the author’s file and line', async (t) => {
  const pool = poolOf(t);
  const records = [...transactions(20), { id: 'throw', price: 7 }, ...transactions(12)];
  const error = await t.throwsAsync<MillraceError>(ask(pool, hostile, records), {
    code: 'SCORE_FAILED',
  });
  t.true(error.message.includes(hostile), error.message);
  t.regex(error.message, /record 20 of 33, \{"id":"throw","price":7\}: no model for this currency/);
  t.is(error.location?.record, '{"id":"throw","price":7}');
  t.regex(error.stack ?? '', /hostile\.ts:\d+/);
  t.is((await ask(pool, hostile, transactions(2))).length, 2, 'the thread goes on');
});

test('a long record is cut', async (t) => {
  const pool = poolOf(t);
  const records = [...transactions(3), { id: 'x'.repeat(5000), price: -1 }];
  const error = await t.throwsAsync<MillraceError>(ask(pool, hostile, records), {
    message: /record 3 of 4, \{"id":"x{293}\.\.\./,
  });
  t.true(error.message.length < 1000);
});

test('a batch that fails only as a whole is told as such', async (t) => {
  const pool = poolOf(t);
  const records = [...transactions(3), { id: 'only together', price: 1 }];
  await t.throwsAsync(ask(pool, hostile, records), {
    code: 'SCORE_FAILED',
    message: /on none of them alone: batch too diverse/,
  });
});

for (const [order, message] of [
  ['too few', /returned 0 results for 2 records/],
  ['no array', /returned undefined for 2 records/],
  ['unfit', /returned an unfit result on record 1 of 2.*risk.*expected float64/],
] as const) {
  test(`results that are ${order} are refused`, async (t) => {
    const pool = poolOf(t);
    await t.throwsAsync(ask(pool, hostile, [...transactions(1), { id: order, price: 1 }]), {
      code: 'SCORE_FAILED',
      message,
    });
  });
}

for (const [name, message] of [
  ['absent', /can't be loaded.*; check that/],
  ['broken', /can't be loaded: weights.bin is missing/],
  ['no-score', /exports no function 'score'; add/],
] as const) {
  test(`module '${name}' fails with a remedy`, async (t) => {
    const pool = poolOf(t);
    await t.throwsAsync(ask(pool, modulePath(name), transactions(1)), {
      code: 'SCORE_FAILED',
      message,
    });
  });
}

for (const order of ['hang', 'wait']) {
  test(`a call that does not return (${order}) times out alone`, async (t) => {
    const pool = poolOf(t);
    const stuck = ask(pool, hostile, [{ id: order, price: 0 }], 300);
    const others = Array.from({ length: 20 }, () => ask(pool, double, transactions(50)));
    await t.throwsAsync(stuck, { code: 'SCORE_TIMEOUT', message: /did not return within 300 ms/ });
    t.is((await Promise.all(others)).length, 20);
    const again = [1, 2, 3, 4].map(() => ask(pool, hostile, transactions(3)));
    t.is((await Promise.all(again)).length, 4, 'the thread was replaced');
  });
}

test('the deadline of a batch does not run while it waits for a thread', async (t) => {
  const pool = poolOf(t, { threadsMax: 1 });
  const stuck = ask(pool, hostile, [{ id: 'hang', price: 0 }], 600);
  const waiting = ask(pool, hostile, transactions(1), 500);
  await t.throwsAsync(stuck, { code: 'SCORE_TIMEOUT' });
  t.is((await waiting).length, 1);
});

test('a module that ends its thread fails its own batch only', async (t) => {
  const pool = poolOf(t, { threadsMax: 1 });
  const results = await Promise.allSettled([
    ask(pool, hostile, [{ id: 'exit', price: 0 }]),
    ask(pool, hostile, transactions(1)),
  ]);
  const [exited, other] = results;
  t.is(exited.status, 'rejected');
  t.regex(
    String(exited.status === 'rejected' && exited.reason),
    /SCORE_FAILED: .* ended its thread/,
  );
  t.is(other.status, 'fulfilled');
});

test('what waits is bounded', async (t) => {
  const pool = poolOf(t, { threadsMax: 1, queueMax: 2 });
  const results = await Promise.allSettled(
    [1, 2, 3, 4].map((n) => ask(pool, double, transactions(n))),
  );
  t.deepEqual(
    results.map(({ status }) => status),
    ['fulfilled', 'fulfilled', 'fulfilled', 'rejected'],
  );
});

test('closing rejects all that is not done', async (t) => {
  const pool = new ScoringPool({ clock: realClock, threadsMax: 1 });
  const asked = [1, 2, 3].map(() => ask(pool, hostile, [{ id: 'wait', price: 0 }]));
  const settled = Promise.allSettled(asked);
  await pool.close();
  for (const result of await settled) {
    t.is(result.status === 'rejected' && (result.reason as MillraceError).code, 'CANCELED');
  }
  t.is(pool.pending, 0);
  await t.throwsAsync(pool.score(requestOf(double, [])), { code: 'CANCELED' });
});

test('a pool left open does not hold its process', async (t) => {
  const { stdout } = await promisify(execFile)(process.execPath, [modulePath('leave-pool-open')], {
    timeout: 20_000,
  });
  t.is(stdout, 'scored');
});
