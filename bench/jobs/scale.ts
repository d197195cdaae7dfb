/**
 * The keyed exchange for any number of subtasks, bounded, with event time. Its sinks add up in the
 * memory of the thread, where whoever runs the job in the same thread reads the sums.
 */
import { boundedOutOfOrderness, job, param, t, type Sink } from 'millrace';
import { generatorSource } from 'millrace/generator';
import { RecordClock } from '../record-clock.js';
import { PrefixTally } from './prefix-tally.js';
import { Transaction, transactionsOf, USERS, withFee, withTax } from './transactions.js';

/** Twice the subtasks of the largest simulation, so that each has key groups of its own. */
const MAX_PARALLELISM = 1024;

export const scaleTransaction = transactionsOf({ users: USERS, recordsPerMs: 1 });

/** Goes with the source of this thread. */
export const recordClock = new RecordClock();

/** Of all sinks of this thread, since the last cut. */
export const arrived = new PrefixTally();

const arrivals: Sink<Transaction, Record<string, never>> = {
  description: 'arrivals',
  schema: Transaction,
  committableSchema: t.record({}),
  createWriter: () =>
    Promise.resolve({
      write: (record) => arrived.add(record),
      whenWritable: () => undefined,
      prepareCommit: () => Promise.resolve([]),
      close: () => Promise.resolve(),
    }),
  createCommitter: () =>
    Promise.resolve({
      commit: () => Promise.resolve(),
      recover: () => Promise.resolve(),
      close: () => Promise.resolve(),
    }),
};

export default job(
  'bench-scale',
  {
    maxParallelism: MAX_PARALLELISM,
    params: {
      records: param.integer({ help: 'records of all splits' }),
      splits: param.integer({ help: 'splits of the source, one or more a subtask' }),
    },
  },
  (env, { records, splits }) =>
    env
      .source(
        'transactions',
        generatorSource({
          schema: Transaction,
          generate: (index) => {
            recordClock.tick();
            return scaleTransaction(index);
          },
          count: records,
          splits,
        }),
        { watermarks: boundedOutOfOrderness((record) => record.timestamp, 0) },
      )
      .map('with-tax', withTax, { output: Transaction })
      .keyBy((record) => record.user_id)
      .process('with-fee', {
        output: Transaction,
        onElement: (record, ctx) => ctx.collect(withFee(record)),
      })
      .sinkTo('arrivals', arrivals),
);
