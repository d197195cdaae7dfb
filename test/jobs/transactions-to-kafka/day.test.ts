import test from 'ava';
import { TransactionGenerator } from '../../../jobs/fraud-detection/generator/transaction-generator.js';
import { Day } from '../../../jobs/transactions-to-kafka/day.js';

test('a transaction is the same whenever it is asked for', (t) => {
  const generator = new TransactionGenerator(50, 7);
  const expected = Array.from({ length: 50 }, () => generator.next()?.transaction);
  const day = new Day(50, 7);
  for (const index of [0, 1, 2, 9, 3, 49, 0, 48]) {
    t.deepEqual(day.transaction(index), expected[index], `transaction ${index}`);
  }
  t.throws(() => day.transaction(50), { instanceOf: RangeError });
});
