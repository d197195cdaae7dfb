import test from 'ava';
import type { Job } from '../../../api/job.js';
import { NEXMARK_MODELS } from '../../../bench/jobs/nexmark/models.js';
import type { RowSums } from '../../../bench/jobs/nexmark/row-tally.js';
import { readTallies } from '../../../bench/tallies.js';
import { runJob } from '../../../worker/local/run-job.js';
import { temporaryFolder } from '../../temporary-folder.js';

/** Twelve seconds of event time: more than a window of ten, and more than the gap between two sessions. */
const EVENTS = 120_000;

for (const [name, model] of Object.entries(NEXMARK_MODELS)) {
  test(`${name} comes to what the naive model does`, async (t) => {
    const folder = await temporaryFolder(t);
    const { default: job } = (await import(`../../../bench/jobs/nexmark/${name}.js`)) as {
      readonly default: Job;
    };
    await runJob(job, { params: { folder, events: String(EVENTS) }, parallelism: 2 });
    const tallies = await readTallies<RowSums>(folder);
    const expected = model(EVENTS);
    t.true(expected > 0);
    t.is(
      tallies.reduce((total, { sum }) => total + sum, 0),
      expected,
    );
  });
}
