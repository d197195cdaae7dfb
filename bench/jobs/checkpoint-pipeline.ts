/**
 * One million keys, each with a value of about 100 bytes that every record reads and writes. First
 * each key comes once, then only `hot` of them come again and again. A file in the tally folder makes
 * the job fail once. For jobs that differ in their options only.
 */
import { existsSync, rmSync } from 'node:fs';
import path from 'node:path';
import { param, valueState, type StreamEnvironment } from 'millrace';
import { generatorSource } from 'millrace/generator';
import { roll, Rolling, Running, RunningTally, STATE_USERS } from './rolling-state.js';
import { tallySink } from './tally-sink.js';
import { EPOCH_MS, SPLITS, Transaction, transactionsOf } from './transactions.js';

/** Its presence fails one task, which removes it. */
export const FAIL_FILE = 'fail';
/** Looking for the file must cost nothing beside the records. */
const LOOK_EVERY_RECORDS = 8192;

export const checkpointParams = {
  folder: param.string({ help: 'where the tallies go' }),
  hot: param.number({ help: 'keys that change after all have come once' }),
  rate: param.number({ help: 'records per second; 0: no limit', default: 0 }),
};

/** Number of the key that record `index` changes. */
export function keyOf(index: number, hot: number): number {
  return index < STATE_USERS ? index : (index % hot) * (STATE_USERS / hot);
}

export function checkpointPipeline(
  env: StreamEnvironment,
  params: { readonly folder: string; readonly hot: number; readonly rate: number },
): void {
  const { folder, hot, rate } = params;
  const make = transactionsOf({ users: STATE_USERS, recordsPerMs: 1 });
  const failFile = path.join(folder, FAIL_FILE);
  let untilLook = LOOK_EVERY_RECORDS;
  env
    .source(
      'transactions',
      generatorSource({
        schema: Transaction,
        generate: (index) => ({
          ...make(index),
          user_id: `user-${String(keyOf(index, hot)).padStart(7, '0')}`,
        }),
        splits: SPLITS,
        ...(rate > 0 ? { ratePerSecond: rate } : {}),
      }),
    )
    .keyBy((record) => record.user_id)
    .process('roll', {
      state: { rolling: valueState(Rolling) },
      output: Running,
      onElement: (record, ctx) => {
        if (--untilLook === 0) {
          untilLook = LOOK_EVERY_RECORDS;
          if (existsSync(failFile)) {
            rmSync(failFile);
            throw new Error('the benchmark asked for a failure');
          }
        }
        const rolling = roll(ctx.state.rolling.value(), record);
        ctx.state.rolling.update(rolling);
        ctx.collect({
          split: (record.timestamp - EPOCH_MS) & (SPLITS - 1),
          count: rolling.count,
        });
      },
    })
    .sinkTo('tally', tallySink({ folder, schema: Running, createTally: () => new RunningTally() }));
}
