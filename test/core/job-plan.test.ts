import path from 'node:path';
import test from 'ava';
import { buildJobGraph } from '../../cli/bundler.js';
import { createJobGraph } from '../../core/job-graph.js';
import { createJobPlan, renderJobPlan, type JobPlan } from '../../core/job-plan.js';
import { FIXTURE_JOBS } from '../cli/job-folder.js';
import { matchesGolden } from '../golden.js';

async function clicksPlan(): Promise<JobPlan> {
  const graph = await buildJobGraph({
    file: 'job.ts',
    params: { site: 'example.org' },
    workingFolder: path.join(FIXTURE_JOBS, 'clicks'),
  });
  return createJobPlan(createJobGraph(graph, 4));
}

test('the plan shows chains, exchanges, types and states as text', async (t) => {
  matchesGolden(t, 'job-plan/clicks.txt', renderJobPlan(await clicksPlan()));
});

test('the plan as JSON has stable names', async (t) => {
  matchesGolden(t, 'job-plan/clicks.json', `${JSON.stringify(await clicksPlan(), null, 2)}\n`);
});

test('outputs that are read and have no schema are listed', async (t) => {
  t.deepEqual((await clicksPlan()).withoutSchema, [{ operator: 'page', output: 'main' }]);
});
