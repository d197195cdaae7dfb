/**
 * `millrace submit FILE`: bundles the job, hands it to the cluster and follows it to its end. Ctrl-C
 * stops the following only: the job goes on, and how to end it is said.
 */
import type { ClaimMode, JobDetails } from '../../api/rest/job-dto.js';
import { createBundle } from '../bundler.js';
import type { CliContext } from '../cli-context.js';
import { connect, type ClusterOptions } from '../cluster-connection.js';
import { EXIT, type ExitCode } from '../exit-code.js';
import { followJob } from '../job-follower.js';
import { formatBytes, formatDuration, formatQuantity } from '../quantity.js';

export interface SubmitOptions extends ClusterOptions {
  readonly param: Readonly<Record<string, string>>;
  readonly parallelism?: number;
  readonly exactParallelism?: boolean;
  readonly fromSavepoint?: string;
  readonly claimMode?: ClaimMode;
  readonly allowNonRestoredState?: boolean;
  readonly detached?: boolean;
  /** Whether sources and sinks look for what they read and write first; unless told they do. */
  readonly check?: boolean;
  readonly json?: boolean;
}

function reportEnd(context: CliContext, options: SubmitOptions, job: JobDetails): ExitCode {
  const durationMs = (job.finishedAtMs ?? job.submittedAtMs) - job.submittedAtMs;
  if (options.json === true) context.print(`${JSON.stringify(job, null, 2)}\n`);
  else {
    context.print(
      `job ${job.jobName} ${job.status} after ${formatDuration(durationMs)}, ${formatQuantity(job.restarts, 'restart')}\n`,
    );
  }
  return job.status === 'FINISHED' ? EXIT.done : EXIT.failed;
}

export async function submitJob(
  context: CliContext,
  file: string,
  options: SubmitOptions,
): Promise<ExitCode> {
  const client = await connect(context, options);
  // A cluster that is not there is told before the work of bundling.
  await client.cluster();
  const bundle = await createBundle({
    file,
    params: options.param,
    ...((options.check ?? true) ? { checkIn: context.environment } : {}),
    workingFolder: context.workingFolder,
    signal: context.interrupted,
    onOutput: (text) => context.note(text),
  });
  if (context.interrupted.aborted) return EXIT.interrupted;
  const { bundleId } = await client.uploadBundle(bundle.archive);
  const { jobId, jobName } = await client.submitJob({
    bundleId,
    ...(options.parallelism === undefined ? {} : { parallelism: options.parallelism }),
    ...(options.exactParallelism === true ? { exactParallelism: true } : {}),
    ...(options.fromSavepoint === undefined ? {} : { fromSavepoint: options.fromSavepoint }),
    ...(options.claimMode === undefined ? {} : { claimMode: options.claimMode }),
    ...(options.allowNonRestoredState === true ? { allowNonRestoredState: true } : {}),
  });
  if (options.detached === true) {
    const document = { jobId, jobName, bundleId };
    context.print(
      options.json === true
        ? `${JSON.stringify(document, null, 2)}\n`
        : `job ${jobName} submitted: ${jobId}\n`,
    );
    return EXIT.done;
  }
  context.note(
    `job ${jobName} submitted: ${jobId} (bundle of ${formatBytes(bundle.archive.length)})\n`,
  );
  const job = await followJob(context, client, jobId);
  if (job !== undefined) return reportEnd(context, options, job);
  context.note(`detached; the job goes on. To end it: millrace cancel ${jobId}\n`);
  return EXIT.interrupted;
}
