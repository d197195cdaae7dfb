import test, { type ExecutionContext } from 'ava';
import type { JobDetails, JobScaling } from '../../../api/rest/job-dto.js';
import type { CliContext } from '../../../cli/cli-context.js';
import { rescaleJob } from '../../../cli/commands/rescale.js';
import { systemClock } from '../../../process/system-clock.js';
import { serveCluster } from '../cluster-stand-in.js';

const SCALING: JobScaling = {
  exact: false,
  slotsAvailable: 4,
  maxParallelism: 128,
  underWay: false,
  why: null,
  history: [],
};
const RUNNING: Partial<JobDetails> = {
  status: 'RUNNING',
  attempt: 1,
  parallelism: 2,
  desiredParallelism: 2,
  scaling: SCALING,
};
/** The wish is noted, and nothing has come of it yet. */
const UNDER_WAY = {
  ...RUNNING,
  desiredParallelism: 4,
  scaling: { ...SCALING, underWay: true },
};

async function rescale(
  t: ExecutionContext,
  looks: readonly Partial<JobDetails>[],
  options: { readonly json?: boolean; readonly interrupted?: AbortSignal } = {},
): Promise<{ readonly exitCode: number; readonly printed: string; readonly noted: string }> {
  const { address } = await serveCluster(t, { looks });
  let printed = '';
  let noted = '';
  const context: CliContext = {
    workingFolder: '.',
    defaultCluster: address,
    environment: {},
    terminal: undefined,
    color: false,
    clock: systemClock,
    interrupted: options.interrupted ?? new AbortController().signal,
    print: (text) => (printed += text),
    note: (text) => (noted += text),
  };
  const exitCode = await rescaleJob(context, 'job-1', { parallelism: 4, ...options });
  return { exitCode, printed, noted };
}

test('it waits until the job runs at the new parallelism, and says how long there was no output', async (t) => {
  const history = [
    { from: 2, to: 4, reason: 'REQUESTED', attempt: 2, atMs: 1, downtimeMs: 412.3 } as const,
  ];
  const done = {
    ...UNDER_WAY,
    attempt: 2,
    parallelism: 4,
    scaling: { ...SCALING, history },
  };
  const looks = [RUNNING, UNDER_WAY, { ...UNDER_WAY, status: 'RESTARTING' as const }, done];
  const { exitCode, printed } = await rescale(t, looks);
  t.is(exitCode, 0);
  t.is(printed, 'job clicks runs at parallelism 4 (before: 2), 412 ms without output\n');
  const json = await rescale(t, looks, { json: true });
  t.deepEqual(JSON.parse(json.printed), {
    ...{ jobId: 'job-1', jobName: 'clicks', from: 2, to: 4 },
    ...{ rescaled: true, downtimeMs: 412.3 },
  });
});

test('a coordinator that was replaced in the middle: the new parallelism, the time unknown', async (t) => {
  const done = { ...UNDER_WAY, attempt: 3, parallelism: 4, scaling: SCALING };
  const { printed } = await rescale(t, [RUNNING, UNDER_WAY, done]);
  t.is(printed, 'job clicks runs at parallelism 4 (before: 2)\n');
});

test('a job that is there already is left alone', async (t) => {
  const there = { ...RUNNING, parallelism: 4, desiredParallelism: 4 };
  const { exitCode, printed } = await rescale(t, [there]);
  t.is(exitCode, 0);
  t.is(printed, 'job clicks runs at parallelism 4 already\n');
});

test('a job that ends, another wish, slots that go away: an error says which', async (t) => {
  await t.throwsAsync(rescale(t, [RUNNING, { ...UNDER_WAY, status: 'FAILED' }]), {
    message: /^JOB_STATE_CONFLICT: job "clicks" ended \(FAILED\) before it ran at parallelism 4/,
  });
  await t.throwsAsync(rescale(t, [RUNNING, UNDER_WAY, RUNNING]), {
    message: /^JOB_STATE_CONFLICT: .* is to run at parallelism 2 now: someone else asked/,
  });
  const fewer = { ...UNDER_WAY, attempt: 2, parallelism: 3, scaling: SCALING };
  await t.throwsAsync(rescale(t, [RUNNING, UNDER_WAY, fewer]), {
    message: /^NOT_ENOUGH_SLOTS: slots went away, so job "clicks" runs at parallelism 3 of 4/,
  });
});

test('interrupted, the wish stands', async (t) => {
  const interrupted = AbortSignal.abort();
  const { exitCode, noted } = await rescale(t, [RUNNING, UNDER_WAY], { interrupted });
  t.is(exitCode, 130);
  t.regex(noted, /^the wish stands: job clicks goes to parallelism 4; see 'millrace job job-1'/);
});
