/** One-minute tumbling sum and count for each of 100,000 users. */
import { boundedOutOfOrderness, job, param, t, tumblingWindows } from 'millrace';
import { generatorSource } from 'millrace/generator';
import { tallySink } from './tally-sink.js';
import { SPLITS, Transaction, transactionsOf, USERS } from './transactions.js';
import { UserTotal, WindowTally } from './window-tally.js';

/** Records to a millisecond of event time: 1.2 million records, 12 of each user, to a window. */
export const RECORDS_PER_MS = 20;
export const WINDOW_MS = 60_000;

export default job(
  'bench-window',
  { params: { folder: param.string({ help: 'where the tallies go' }) } },
  (env, { folder }) => {
    env
      .source(
        'transactions',
        generatorSource({
          schema: Transaction,
          generate: transactionsOf({ users: USERS, recordsPerMs: RECORDS_PER_MS }),
          splits: SPLITS,
        }),
        { watermarks: boundedOutOfOrderness((record) => record.timestamp, 0) },
      )
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
      })
      .sinkTo(
        'tally',
        tallySink({
          folder,
          schema: UserTotal,
          createTally: () => new WindowTally(),
          weightOf: (total) => total.count,
        }),
      );
  },
);
