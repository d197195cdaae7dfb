import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import test from 'ava';
import { StringPool } from '../../../worker/state/string-pool.js';

/** A string that no other part of the program has. */
const fresh = (text: string): string => Buffer.from(text).toString('latin1');

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

/** Heap that so many strings take, of which so many differ. */
function heapOf(count: number, distinct: number): number {
  const pool = new StringPool();
  const kept = new Array<unknown>(count).fill(undefined);
  collectGarbage();
  const before = process.memoryUsage().heapUsed;
  for (let i = 0; i < count; i++) {
    kept[i] = pool.own(fresh(`the name of a product ${String(i % distinct)}`));
  }
  collectGarbage();
  const bytes = process.memoryUsage().heapUsed - before;
  return kept.length === count ? bytes : 0;
}

test('equal strings become one, whatever came between', (t) => {
  const pool = new StringPool();
  for (let i = 0; i < 20_000; i++) {
    t.is(pool.own(fresh(`product-${String(i % 5000)}`)), `product-${String(i % 5000)}`);
  }
  // Each of its own would take 40 bytes and more.
  t.true(heapOf(200_000, 5000) < 200_000 * 10);
  t.true(heapOf(200_000, 200_000) > 200_000 * 30);
});

test('a field that never repeats comes out as it went in, and so does what is no text', (t) => {
  const pool = new StringPool();
  for (let i = 0; i < 100_000; i++) {
    const text = `transaction-${String(i)}`;
    t.is(pool.own(fresh(text)), text);
  }
  t.is(pool.own('x'.repeat(1000)), 'x'.repeat(1000));
  t.is(pool.own(undefined), undefined);
  t.is(pool.own(7), 7);
});
