/**
 * The raw loop: the work of a benchmark in one thread, without a runtime. It makes exactly the
 * records that the cluster took, so its sums are what the cluster's must be, and its speed is the
 * yardstick of the same moment. `node raw-loop-main.js BENCHMARK COUNTS`, with the records of each
 * split as a JSON array; prints one line of JSON.
 */
import { json } from '../connectors/formats/index.js';
import { keyGroupOf } from '../core/key-group.js';
import { keyHash } from '../core/key-codec.js';
import { PrefixTally } from './jobs/prefix-tally.js';
import { NEXMARK_MODELS } from './jobs/nexmark/models.js';
import { roll, STATE_USERS, type Rolling } from './jobs/rolling-state.js';
import { lineOf, transactionIn } from './jobs/transaction-lines.js';
import {
  SPLITS,
  transactionsOf,
  USERS,
  withFee,
  withTax,
  type Draw,
  type Transaction,
} from './jobs/transactions.js';
import { RECORDS_PER_MS, WINDOW_MS } from './jobs/window-pipeline.js';
import { UserTotal, WindowTally, type WindowTotals } from './jobs/window-tally.js';
import { TotalSums } from './jobs/total-sums.js';
import { Stretch, type StretchResult } from './stretch.js';

export interface RawResult extends StretchResult {
  /** Of the benchmark's own form; equal to what the cluster's tallies add up to. */
  readonly sums: unknown;
}

/** A loop over `count` indices from 0; `take` is called in order and leaves sums behind. */
type RawLoop = (counts: readonly number[]) => unknown;

const MAX_PARALLELISM = 128;
const totalText = json(UserTotal);

/** Calls `visit` for the indices of a prefix of each split. */
function eachIndex(counts: readonly number[], visit: (index: number) => void): void {
  const rounds = Math.max(...counts);
  for (let round = 0; round < rounds; round++) {
    for (let split = 0; split < SPLITS; split++) {
      if (round < (counts[split] ?? 0)) visit(round * SPLITS + split);
    }
  }
}

type UserSums = Map<string, { count: number; sum: number }>;

/** The windows of all users, each total counted once it is whole. */
function windowTotals(
  counts: readonly number[],
  read: (record: Transaction) => Transaction,
  total: (start: number, users: UserSums) => WindowTotals[number],
): WindowTotals {
  const generate = transactionsOf({ users: USERS, recordsPerMs: RECORDS_PER_MS });
  const windows = new Map<number, UserSums>();
  let latest: UserSums | undefined;
  let latestStart = -1;
  eachIndex(counts, (index) => {
    const { user_id, timestamp, price } = read(generate(index));
    const start = Math.floor(timestamp / WINDOW_MS) * WINDOW_MS;
    if (start !== latestStart || latest === undefined) {
      latestStart = start;
      latest = windows.get(start) ?? new Map<string, { count: number; sum: number }>();
      windows.set(start, latest);
    }
    const sums = latest.get(user_id);
    if (sums === undefined) latest.set(user_id, { count: 1, sum: price });
    else {
      sums.count++;
      sums.sum += price;
    }
  });
  return [...windows].map(([start, users]) => total(start, users));
}

function totalsOf(start: number, users: UserSums): WindowTotals[number] {
  let [count, sum] = [0, 0];
  for (const one of users.values()) {
    count += one.count;
    sum += one.sum;
  }
  return [start, count, sum];
}

const LOOPS: Readonly<Record<string, RawLoop>> = {
  passthrough: (counts) => {
    const generate = transactionsOf({ users: USERS, recordsPerMs: 1 });
    const tally = new PrefixTally();
    let groups = 0;
    eachIndex(counts, (index) => {
      const record = withTax(generate(index));
      groups += keyGroupOf(keyHash(record.user_id), MAX_PARALLELISM);
      tally.add(withFee(record));
    });
    return { ...tally.cut(), groups };
  },
  window: (counts) => windowTotals(counts, (record) => record, totalsOf),
  json: (counts) =>
    windowTotals(
      counts,
      (record) => transactionIn(lineOf(record)),
      (start, users) => {
        const tally = new WindowTally();
        for (const [user_id, { count, sum }] of users) {
          tally.add(totalText.parse(totalText.stringify({ user_id, start, count, sum })));
        }
        return tally.cut()[0] ?? [start, 0, 0];
      },
    ),
  'kafka-job': (counts) => {
    const { count, checksum } = writtenTotals(counts);
    return { count, checksum };
  },
  state: rollingLoop('uniform'),
  'state-zipf': rollingLoop('zipf'),
};

/** Totals as JSON text that is read again, each counted by itself. */
function writtenTotals(counts: readonly number[]): TotalSums {
  const sums = new TotalSums();
  windowTotals(
    counts,
    (record) => transactionIn(lineOf(record)),
    (start, users) => {
      for (const [user_id, { count, sum }] of users) {
        sums.add(totalText.parse(totalText.stringify({ user_id, start, count, sum })));
      }
      return totalsOf(start, users);
    },
  );
  return sums;
}

function rollingLoop(draw: Draw): RawLoop {
  return (counts) => {
    const generate = transactionsOf({ users: STATE_USERS, draw, recordsPerMs: 1 });
    const states = new Map<string, Rolling>();
    let sum = 0;
    eachIndex(counts, (index) => {
      const record = generate(index);
      const rolling = roll(states.get(record.user_id), record);
      states.set(record.user_id, rolling);
      sum += rolling.count;
    });
    return { sum };
  };
}

/** The queries as benchmarks are named; all events are one split. */
const QUERIES: Readonly<Record<string, RawLoop>> = Object.fromEntries(
  Object.entries(NEXMARK_MODELS).map(([name, model]) => [
    `nexmark-${name}`,
    ([events = 0]) => ({ sum: model(events) }),
  ]),
);

const WARM_UP_ROUNDS = 100_000;

function main(): void {
  const [, , name = '', countsText = '[]'] = process.argv;
  const loop = LOOPS[name] ?? QUERIES[name];
  if (loop === undefined) throw new Error(`there is no raw loop of ${name}`);
  const counts = JSON.parse(countsText) as number[];
  loop(counts.map(() => WARM_UP_ROUNDS));
  const stretch = new Stretch();
  const sums = loop(counts);
  const records = counts.reduce((sum, count) => sum + count, 0);
  const result: RawResult = { ...stretch.end(records), sums };
  process.stdout.write(`${JSON.stringify(result)}\n`);
}

main();
