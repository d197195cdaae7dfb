/**
 * Records paced by due time through two keyed exchanges. A record carries when it was due, not when
 * the source came to make it, so a source that falls behind shows.
 */
import { job, param, t, type Infer } from 'millrace';
import { generatorSource } from 'millrace/generator';
import { LatencyTally } from './latency-tally.js';
import { machineMs, tallySink } from './tally-sink.js';
import { SPLITS, transactionsOf, USERS } from './transactions.js';

const TimedTransaction = t.record({
  transaction_id: t.string,
  user_id: t.string,
  product_id: t.string,
  price: t.float64,
  geolocation: t.string,
  due_ms: t.float64,
  index: t.float64,
});

export default job(
  'bench-latency',
  {
    params: {
      folder: param.string({ help: 'where the tallies go' }),
      rate: param.integer({ help: 'records per second', default: 10_000 }),
      warmUpSeconds: param.number({ help: 'how long latencies are not counted', default: 5 }),
    },
  },
  (env, { folder, rate, warmUpSeconds }) => {
    const transactionOf = transactionsOf({ users: USERS, recordsPerMs: 1 });
    let originMs = Infinity;
    env
      .source(
        'transactions',
        generatorSource({
          schema: TimedTransaction,
          ratePerSecond: rate,
          splits: SPLITS,
          generate: (index) => {
            // No record is made before it is due: the earliest of all tells when record 0 was.
            originMs = Math.min(originMs, machineMs() - (index * 1000) / rate);
            const { transaction_id, user_id, product_id, price, geolocation } =
              transactionOf(index);
            return {
              transaction_id,
              user_id,
              product_id,
              price,
              geolocation,
              due_ms: originMs + (index * 1000) / rate,
              index,
            };
          },
        }),
      )
      .keyBy((record) => record.user_id)
      .process('by-user', {
        output: TimedTransaction,
        onElement: (record, ctx) => ctx.collect(record),
      })
      .keyBy((record) => record.product_id)
      .process('by-product', {
        output: TimedTransaction,
        onElement: (record, ctx) => ctx.collect(record),
      })
      .sinkTo(
        'tally',
        tallySink<Infer<typeof TimedTransaction>>({
          folder,
          schema: TimedTransaction,
          createTally: () => new LatencyTally(rate * warmUpSeconds),
        }),
      );
  },
);
