/**
 * `millrace rescale JOB --parallelism N`: asks for another parallelism of a running job, follows it
 * until the job runs at it, and says how long it was without output. Ctrl-C stops the following; the
 * wish stands.
 */
import type { RestClient } from '../../api/rest/client.js';
import { TERMINAL_STATUSES, type JobDetails } from '../../api/rest/job-dto.js';
import { isMillraceError, MillraceError } from '../../core/errors.js';
import { pause, type CliContext } from '../cli-context.js';
import { connect } from '../cluster-connection.js';
import { EXIT, type ExitCode } from '../exit-code.js';
import { formatDuration } from '../quantity.js';
import type { ListingOptions } from './listings.js';

const POLL_INTERVAL_MS = 50;
/** A coordinator that ends in the middle is started again, or another one takes over. */
const UNREACHABLE_MAX_MS = 60_000;

export interface RescaleOptions extends ListingOptions {
  readonly parallelism: number;
}

/** Whether the job runs, and nothing is about to change that. */
function isSettled({ status, scaling, vertices }: JobDetails): boolean {
  return (
    status === 'RUNNING' &&
    scaling?.underWay === false &&
    vertices.every(({ subtasks }) =>
      subtasks.every(({ state }) => state === 'RUNNING' || state === 'DRAINED'),
    )
  );
}

/** @returns whether the job is where it was asked to be. @throws MillraceError when it won't be */
function isRescaled(job: JobDetails, parallelism: number, attemptBefore: number): boolean {
  if (TERMINAL_STATUSES.has(job.status)) {
    throw new MillraceError(
      'JOB_STATE_CONFLICT',
      `job "${job.jobName}" ended (${job.status}) before it ran at parallelism ${parallelism}; ` +
        `see 'millrace job ${job.jobId}'`,
    );
  }
  if (job.desiredParallelism !== parallelism) {
    throw new MillraceError(
      'JOB_STATE_CONFLICT',
      `job "${job.jobName}" is to run at parallelism ${job.desiredParallelism} now: someone else asked ` +
        'for that, or the coordinator was replaced before it had noted this wish; ask again',
    );
  }
  if (!isSettled(job)) return false;
  if (job.parallelism === parallelism) return true;
  if (job.attempt === attemptBefore) return false;
  throw new MillraceError(
    'NOT_ENOUGH_SLOTS',
    `slots went away, so job "${job.jobName}" runs at parallelism ${job.parallelism} of ` +
      `${parallelism}; it goes on to ${parallelism} by itself once there are slots for that`,
  );
}

/** @returns undefined when interrupted first */
async function awaitRescaled(
  context: CliContext,
  client: RestClient,
  before: JobDetails,
  parallelism: number,
): Promise<JobDetails | undefined> {
  let answeredAtMs = context.clock.monotonic();
  while (!context.interrupted.aborted) {
    try {
      const job = await client.job(before.jobId);
      answeredAtMs = context.clock.monotonic();
      if (isRescaled(job, parallelism, before.attempt)) return job;
    } catch (error) {
      if (!isMillraceError(error) || error.code !== 'CLUSTER_UNREACHABLE') throw error;
      if (context.clock.monotonic() - answeredAtMs > UNREACHABLE_MAX_MS) throw error;
    }
    await pause(context, POLL_INTERVAL_MS);
  }
  return undefined;
}

export async function rescaleJob(
  context: CliContext,
  name: string,
  options: RescaleOptions,
): Promise<ExitCode> {
  const { parallelism } = options;
  const client = await connect(context, options);
  const before = await client.job(name);
  const { jobId, jobName } = before;
  await client.rescaleJob(jobId, parallelism);
  const job = await awaitRescaled(context, client, before, parallelism);
  if (job === undefined) {
    context.note(
      `the wish stands: job ${jobName} goes to parallelism ${parallelism}; see 'millrace job ${jobId}'\n`,
    );
    return EXIT.interrupted;
  }
  const rescale = job.scaling?.history.findLast(({ attempt }) => attempt > before.attempt);
  const downtimeMs = rescale?.downtimeMs ?? null;
  const document = {
    jobId,
    jobName,
    from: before.parallelism,
    to: parallelism,
    rescaled: job.attempt > before.attempt,
    downtimeMs,
  };
  const without = downtimeMs === null ? '' : `, ${formatDuration(downtimeMs)} without output`;
  const text = document.rescaled
    ? `job ${jobName} runs at parallelism ${parallelism} (before: ${before.parallelism})${without}`
    : `job ${jobName} runs at parallelism ${parallelism} already`;
  context.print(options.json === true ? `${JSON.stringify(document, null, 2)}\n` : `${text}\n`);
  return EXIT.done;
}
