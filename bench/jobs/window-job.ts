/** One-minute tumbling sum and count for each of 100,000 users: the jobs differ in where their state lives. */
import { job, param, type Job, type JobOptions, type Params } from 'millrace';
import { tallySink } from './tally-sink.js';
import { userTotals } from './window-pipeline.js';
import { UserTotal, WindowTally } from './window-tally.js';

export function windowJob(name: string, state: JobOptions<Params>['state'] = {}): Job {
  return job(
    name,
    { params: { folder: param.string({ help: 'where the tallies go' }) }, state },
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
}
