/** JSON text in, decoded by the source; one-minute sum and count of each user; JSON text out. */
import { job, param, t, type Infer } from 'millrace';
import { json } from 'millrace/formats';
import { tallySink, type Tally } from './tally-sink.js';
import { countIn, lineOf, transactionIn } from './transaction-lines.js';
import { userTotals } from './window-pipeline.js';
import { UserTotal, WindowTally, type WindowTotals } from './window-tally.js';

const Line = t.record({ text: t.string });
const totals = json(UserTotal);

/** Reads the text that came out, so that what was written is what is counted. */
class TextTally implements Tally<Infer<typeof Line>> {
  readonly #tally = new WindowTally();

  add({ text }: Infer<typeof Line>): void {
    this.#tally.add(totals.parse(text));
  }

  cut(): WindowTotals {
    return this.#tally.cut();
  }
}

export default job(
  'bench-json',
  { params: { folder: param.string({ help: 'where the tallies go' }) } },
  (env, { folder }) => {
    userTotals(env, 'lines', (transaction) => transactionIn(lineOf(transaction)))
      .map('text', (total) => ({ text: totals.stringify(total) }), { output: Line })
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
