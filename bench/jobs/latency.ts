/**
 * Records paced by due time through two keyed exchanges. A record carries when it was due, not when
 * the source came to make it, so a source that falls behind shows.
 */
import { job, param } from 'millrace';
import { generatorSource } from 'millrace/generator';
import { LatencyTally } from './latency-tally.js';
import { machineMs, tallySink } from './tally-sink.js';
import { TimedTransaction, timedTransactionsOf } from './timed-transaction.js';
import { SPLITS } from './transactions.js';

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
    const timedTransaction = timedTransactionsOf();
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
            return timedTransaction(index, originMs + (index * 1000) / rate);
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
        tallySink<TimedTransaction>({
          folder,
          schema: TimedTransaction,
          createTally: () => new LatencyTally(rate * warmUpSeconds),
        }),
      );
  },
);
