/** source -> map -> keyBy 100,000 users -> map -> tally, for jobs that differ in their options only. */
import { param, type StreamEnvironment } from 'millrace';
import { generatorSource } from 'millrace/generator';
import { PrefixTally } from './prefix-tally.js';
import { tallySink } from './tally-sink.js';
import { SPLITS, Transaction, transactionsOf, USERS, withFee, withTax } from './transactions.js';

export const passthroughParams = {
  folder: param.string({ help: 'where the tallies go' }),
  sinkRate: param.number({
    help: 'records per second and sink subtask; 0: no limit',
    default: 0,
  }),
};

export function passthroughPipeline(
  env: StreamEnvironment,
  { folder, sinkRate }: { readonly folder: string; readonly sinkRate: number },
): void {
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
}
