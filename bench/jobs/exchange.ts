/** Keyed exchange: source -> map -> keyBy 100,000 users -> map -> tally. */
import { job, param } from 'millrace';
import { generatorSource } from 'millrace/generator';
import { PrefixTally } from './prefix-tally.js';
import { tallySink } from './tally-sink.js';
import { SPLITS, Transaction, transactionsOf, USERS, withFee, withTax } from './transactions.js';

export default job(
  'bench-exchange',
  {
    checkpoint: { intervalMs: 1000 },
    params: {
      folder: param.string({ help: 'where the tallies go' }),
      sinkRate: param.number({
        help: 'records per second and sink subtask; 0: no limit',
        default: 0,
      }),
    },
  },
  (env, { folder, sinkRate }) => {
    env
      .source(
        'transactions',
        generatorSource({
          schema: Transaction,
          generate: transactionsOf({ users: USERS, recordsPerMs: 1 }),
          splits: SPLITS,
        }),
      )
      .map('with-tax', withTax, { output: Transaction })
      .keyBy((record) => record.user_id)
      .process('with-fee', {
        output: Transaction,
        onElement: (record, ctx) => ctx.collect(withFee(record)),
      })
      .sinkTo(
        'tally',
        tallySink({
          folder,
          schema: Transaction,
          createTally: () => new PrefixTally(),
          ...(sinkRate > 0 ? { ratePerSecond: sinkRate } : {}),
        }),
      );
  },
);
