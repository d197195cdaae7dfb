import test from 'ava';
import { StringPool } from '../../../worker/state/string-pool.js';

/** A string that no other part of the program has. */
const fresh = (text: string): string => Buffer.from(text).toString('latin1');

test('equal strings become one, whatever came between', (t) => {
  const pool = new StringPool();
  for (let i = 0; i < 100_000; i++) {
    t.is(pool.own(fresh(`product-${String(i % 5000)}`)), `product-${String(i % 5000)}`);
  }
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
