/** One-minute tumbling sum and count for each of 100,000 users. */
import { job, param } from 'millrace';
import { tallySink } from './tally-sink.js';
import { userTotals } from './window-pipeline.js';
import { UserTotal, WindowTally } from './window-tally.js';

export default job(
  'bench-window',
  { params: { folder: param.string({ help: 'where the tallies go' }) } },
  (env, { folder }) => {
    userTotals(env, 'transactions').sinkTo(
      'tally',
      tallySink({
        folder,
        schema: UserTotal,
        createTally: () => new WindowTally(),
        weightOf: (total) => total.count,
      }),
    );
  },
);
