/** One-minute tumbling sum and count for each of 100,000 users: for jobs that differ in their source and sink only. */
import {
  boundedOutOfOrderness,
  t,
  tumblingWindows,
  type Stream,
  type StreamEnvironment,
} from 'millrace';
import { generatorSource } from 'millrace/generator';
import { SPLITS, Transaction, transactionsOf, USERS } from './transactions.js';
import { UserTotal } from './window-tally.js';

/** Records to a millisecond of event time: 1.2 million records, 12 of each user, to a window. */
export const RECORDS_PER_MS = 20;
export const WINDOW_MS = 60_000;
export const RECORDS_PER_WINDOW = RECORDS_PER_MS * WINDOW_MS;

/** @param read what the source makes of each transaction before it emits it */
export function userTotals(
  env: StreamEnvironment,
  source: string,
  read = (transaction: Transaction) => transaction,
): Stream<UserTotal> {
  const transactionOf = transactionsOf({ users: USERS, recordsPerMs: RECORDS_PER_MS });
  return totalsOf(
    env.source(
      source,
      generatorSource({
        schema: Transaction,
        generate: (index) => read(transactionOf(index)),
        splits: SPLITS,
      }),
      { watermarks: ascending },
    ),
  );
}

/** Each split of a source of transactions has them in the order of their times. */
export const ascending = boundedOutOfOrderness<Transaction>((record) => record.timestamp, 0);

/** One-minute sum and count of each user. */
export function totalsOf(transactions: Stream<Transaction>): Stream<UserTotal> {
  return transactions
    .keyBy((record) => record.user_id)
    .window(tumblingWindows(WINDOW_MS))
    .aggregate('totals', {
      accumulator: t.record({ count: t.float64, sum: t.float64 }),
      output: UserTotal,
      createAccumulator: () => ({ count: 0, sum: 0 }),
      add: (accumulator, record) => {
        accumulator.count++;
        accumulator.sum += record.price;
        return accumulator;
      },
      getResult: ({ count, sum }, user_id, { start }) => ({ user_id, start, count, sum }),
    });
}
