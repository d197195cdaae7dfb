/**
 * One million keys, each with a rolling value of about 100 bytes that every record reads and writes:
 * the jobs of the state benchmarks differ in where the state lives and in how records choose keys.
 */
import {
  job,
  param,
  t,
  valueState,
  type Infer,
  type Job,
  type JobOptions,
  type Params,
} from 'millrace';
import { generatorSource } from 'millrace/generator';
import { tallySink, type Tally } from './tally-sink.js';
import { EPOCH_MS, SPLITS, Transaction, transactionsOf, type Draw } from './transactions.js';

export const STATE_USERS = 1_000_000;

export const Rolling = t.record({
  count: t.float64,
  sum: t.float64,
  least: t.float64,
  greatest: t.float64,
  first_ms: t.timestamp,
  last_ms: t.timestamp,
  last_product_id: t.string,
  last_payment_method: t.string,
  last_geolocation: t.string,
});
export type Rolling = Infer<typeof Rolling>;

export const Running = t.record({ split: t.int32, count: t.float64 });

/** The value after `record`; `previous` is undefined for a user's first one. */
export function roll(previous: Rolling | undefined, record: Transaction): Rolling {
  const { price, timestamp } = record;
  return {
    count: (previous?.count ?? 0) + 1,
    sum: (previous?.sum ?? 0) + price,
    least: Math.min(previous?.least ?? price, price),
    greatest: Math.max(previous?.greatest ?? price, price),
    first_ms: previous?.first_ms ?? timestamp,
    last_ms: timestamp,
    last_product_id: record.product_id,
    last_payment_method: record.payment_method,
    last_geolocation: record.geolocation,
  };
}

/** Records by split, and the sum of all counts that they found in their user's state. */
export interface RunningSums {
  readonly counts: number[];
  readonly sum: number;
}

export class RunningTally implements Tally<Infer<typeof Running>> {
  readonly #counts = new Float64Array(SPLITS);
  #sum = 0;

  add({ split, count }: Infer<typeof Running>): void {
    this.#counts[split] = (this.#counts[split] ?? 0) + 1;
    this.#sum += count;
  }

  cut(): RunningSums {
    const sums = { counts: [...this.#counts], sum: this.#sum };
    this.#counts.fill(0);
    this.#sum = 0;
    return sums;
  }
}

/** Of each slot: 0.4 of what is left of 4 GB, for two. */
export const FLINK_SLOT_MEMORY = {
  backend: 'rocksdb',
  memoryBytesMax: 686 * 1024 * 1024,
} as const;

/** Of each of two slots. */
export const QUARTER_IN_MEMORY = {
  backend: 'rocksdb',
  memoryBytesMax: 170 * 1024 * 1024,
} as const;

/** What is left out is the engine's own default. */
export function rollingJob(
  name: string,
  draw: Draw,
  state: JobOptions<Params>['state'] = {},
  checkpoint: JobOptions<Params>['checkpoint'] = {},
): Job {
  return job(
    name,
    { params: { folder: param.string({ help: 'where the tallies go' }) }, state, checkpoint },
    (env, { folder }) => {
      env
        .source(
          'transactions',
          generatorSource({
            schema: Transaction,
            generate: transactionsOf({ users: STATE_USERS, draw, recordsPerMs: 1 }),
            splits: SPLITS,
          }),
        )
        .keyBy((record) => record.user_id)
        .process('roll', {
          state: { rolling: valueState(Rolling) },
          output: Running,
          onElement: (record, ctx) => {
            const rolling = roll(ctx.state.rolling.value(), record);
            ctx.state.rolling.update(rolling);
            ctx.collect({
              split: (record.timestamp - EPOCH_MS) & (SPLITS - 1),
              count: rolling.count,
            });
          },
        })
        .sinkTo(
          'tally',
          tallySink({ folder, schema: Running, createTally: () => new RunningTally() }),
        );
    },
  );
}
