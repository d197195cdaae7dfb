import test from 'ava';
import { countIn, lineOf, transactionIn } from '../../bench/jobs/transaction-lines.js';
import { fingerprint, transactionsOf } from '../../bench/jobs/transactions.js';

const transactionOf = transactionsOf({ users: 100_000, recordsPerMs: 20 });
const INDICES = [0, 1, 7, 9_973, 123_456, 40_000_000_123];

test('a transaction’s line is its JSON, and reads back as the transaction', (t) => {
  for (const index of INDICES) {
    const record = transactionOf(index);
    t.is(lineOf(record), JSON.stringify(record));
    t.deepEqual(transactionIn(lineOf(record)), record);
  }
});

test('the count of a total is found in its text', (t) => {
  t.is(countIn(JSON.stringify({ user_id: 'user-1', start: 5, count: 12, sum: 3.25 })), 12);
});

test('every field of a transaction counts in its fingerprint', (t) => {
  const record = transactionOf(123_456);
  const changes = [
    { transaction_id: 'tx0000000000' },
    { user_id: 'user-0000009' },
    { product_id: 'product-00008' },
    { price: record.price + 0.25 },
    { timestamp: record.timestamp + 1 },
    { payment_method: 'barter' },
    { geolocation: '48.00000,11.00000' },
  ];
  t.is(changes.length, Object.keys(record).length);
  for (const change of changes) {
    t.not(fingerprint({ ...record, ...change }), fingerprint(record), JSON.stringify(change));
  }
});

test('users that are favoured are those that the peer, too, was seen to favour', (t) => {
  const zipf = transactionsOf({ users: 1_000_000, draw: 'zipf', recordsPerMs: 1 });
  t.deepEqual(
    INDICES.map((index) => zipf(index).user_id),
    ['2003', '198297', '8012', '745574', '458669', '193580'].map(
      (user) => `user-${user.padStart(7, '0')}`,
    ),
  );
});

test('users at random come once each before any comes again', (t) => {
  const uniform = transactionsOf({ users: 1000, draw: 'uniform', recordsPerMs: 1 });
  const users = (from: number): Set<string> =>
    new Set(Array.from({ length: 1000 }, (_, i) => uniform(from + i).user_id));
  t.is(users(0).size, 1000);
  const later = users(1000).size;
  t.true(later > 500 && later < 800, `${later} of a thousand`);
});
