/** JSON text in, decoded by the source; one-minute sum and count of each user; JSON text out. */
import { boundedOutOfOrderness, job, param, t, tumblingWindows, type Infer } from 'millrace';
import { generatorSource } from 'millrace/generator';
import { tallySink, type Tally } from './tally-sink.js';
import { countIn, lineOf, transactionIn } from './transaction-lines.js';
import { SPLITS, Transaction, transactionsOf, USERS } from './transactions.js';
import { UserTotal, WindowTally, type WindowTotals } from './window-tally.js';
import { RECORDS_PER_MS, WINDOW_MS } from './window.js';

const Line = t.record({ text: t.string });

/** Reads the text that came out, so that what was written is what is counted. */
class TextTally implements Tally<Infer<typeof Line>> {
  readonly #tally = new WindowTally();

  add({ text }: Infer<typeof Line>): void {
    this.#tally.add(JSON.parse(text) as UserTotal);
  }

  cut(): WindowTotals {
    return this.#tally.cut();
  }
}

export default job(
  'bench-json',
  { params: { folder: param.string({ help: 'where the tallies go' }) } },
  (env, { folder }) => {
    const transactionOf = transactionsOf({ users: USERS, recordsPerMs: RECORDS_PER_MS });
    env
      .source(
        'lines',
        generatorSource({
          schema: Transaction,
          generate: (index) => transactionIn(lineOf(transactionOf(index))),
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
      .map('text', (total) => ({ text: JSON.stringify(total) }), { output: Line })
      .sinkTo(
        'tally',
        tallySink({
          folder,
          schema: Line,
          createTally: () => new TextTally(),
          weightOf: ({ text }) => countIn(text),
        }),
      );
  },
);
