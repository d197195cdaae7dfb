/**
 * `millrace savepoint`, `stop` and `cancel`: requests about a running job, followed until they are
 * done; and the end of a savepoint.
 */
import type { RestClient } from '../../api/rest/client.js';
import type { SavepointStatus } from '../../api/rest/checkpoint-dto.js';
import { TERMINAL_STATUSES, type JobStatus } from '../../api/rest/job-dto.js';
import { MillraceError } from '../../core/errors.js';
import { pause, type CliContext } from '../cli-context.js';
import { connect } from '../cluster-connection.js';
import { EXIT, type ExitCode } from '../exit-code.js';
import type { ListingOptions } from './listings.js';

const POLL_INTERVAL_MS = 100;

/** @returns undefined when interrupted first */
async function awaitSavepoint(
  context: CliContext,
  client: RestClient,
  triggered: SavepointStatus,
): Promise<SavepointStatus | undefined> {
  let savepoint = triggered;
  while (savepoint.status === 'IN_PROGRESS') {
    await pause(context, POLL_INTERVAL_MS);
    if (context.interrupted.aborted) {
      context.note(
        `savepoint ${savepoint.savepointId} goes on; 'millrace savepoints' lists it once it is complete\n`,
      );
      return undefined;
    }
    savepoint = await client.savepoint(savepoint.jobId, savepoint.savepointId);
  }
  if (savepoint.status === 'FAILED') {
    throw new MillraceError(
      'CHECKPOINT_FAILED',
      `savepoint ${savepoint.savepointId} failed: ${savepoint.failure ?? 'no reason given'}; the job ` +
        `is as it was, see 'millrace checkpoints ${savepoint.jobId}' and try again`,
    );
  }
  return savepoint;
}

async function awaitEnd(
  context: CliContext,
  client: RestClient,
  jobId: string,
): Promise<JobStatus | undefined> {
  for (;;) {
    const { status } = await client.job(jobId);
    if (TERMINAL_STATUSES.has(status)) return status;
    await pause(context, POLL_INTERVAL_MS);
    if (context.interrupted.aborted) {
      context.note(`the request stands; see 'millrace job ${jobId}'\n`);
      return undefined;
    }
  }
}

function answer(
  context: CliContext,
  options: ListingOptions,
  document: object,
  text: string,
): void {
  context.print(options.json === true ? `${JSON.stringify(document, null, 2)}\n` : `${text}\n`);
}

export async function takeSavepoint(
  context: CliContext,
  job: string,
  options: ListingOptions,
): Promise<ExitCode> {
  const client = await connect(context, options);
  const savepoint = await awaitSavepoint(context, client, await client.triggerSavepoint(job));
  if (savepoint === undefined) return EXIT.interrupted;
  answer(context, options, savepoint, savepoint.savepointId);
  return EXIT.done;
}

export async function disposeSavepoint(
  context: CliContext,
  savepointId: string,
  options: ListingOptions,
): Promise<ExitCode> {
  const disposed = await (await connect(context, options)).disposeSavepoint(savepointId);
  answer(context, options, disposed, `savepoint ${disposed.savepointId} deleted`);
  return EXIT.done;
}

export async function stopJob(
  context: CliContext,
  job: string,
  options: ListingOptions,
): Promise<ExitCode> {
  const client = await connect(context, options);
  const savepoint = await awaitSavepoint(context, client, await client.stopWithSavepoint(job));
  if (savepoint === undefined) return EXIT.interrupted;
  const status = await awaitEnd(context, client, savepoint.jobId);
  if (status === undefined) return EXIT.interrupted;
  answer(
    context,
    options,
    { ...savepoint, jobStatus: status },
    `job ${savepoint.jobId} ${status}; savepoint ${savepoint.savepointId}`,
  );
  return status === 'FINISHED' ? EXIT.done : EXIT.failed;
}

export async function cancelJob(
  context: CliContext,
  job: string,
  options: ListingOptions,
): Promise<ExitCode> {
  const client = await connect(context, options);
  const { jobId } = await client.cancelJob(job);
  const status = await awaitEnd(context, client, jobId);
  if (status === undefined) return EXIT.interrupted;
  answer(context, options, { jobId, status }, `job ${jobId} ${status}`);
  return status === 'CANCELED' ? EXIT.done : EXIT.failed;
}
