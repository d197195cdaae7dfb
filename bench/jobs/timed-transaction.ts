/** A transaction that carries when it was due, not when its source came to make it. */
import { t, type Infer } from 'millrace';
import { transactionsOf, USERS } from './transactions.js';

export const TimedTransaction = t.record({
  transaction_id: t.string,
  user_id: t.string,
  product_id: t.string,
  price: t.float64,
  geolocation: t.string,
  /** On the machine's monotonic clock. */
  due_ms: t.float64,
  index: t.float64,
});
export type TimedTransaction = Infer<typeof TimedTransaction>;

/** The function that makes record `index`, due at a time. */
export function timedTransactionsOf(): (index: number, dueMs: number) => TimedTransaction {
  const transactionOf = transactionsOf({ users: USERS, recordsPerMs: 1 });
  return (index, dueMs) => {
    const { transaction_id, user_id, product_id, price, geolocation } = transactionOf(index);
    return { transaction_id, user_id, product_id, price, geolocation, due_ms: dueMs, index };
  };
}
