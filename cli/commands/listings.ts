/** `millrace jobs`, `workers` and `savepoints`: what a cluster has, as a table or as JSON. */
import type { JobSummary } from '../../api/rest/job-dto.js';
import type { CliContext } from '../cli-context.js';
import { connect, type ClusterOptions } from '../cluster-connection.js';
import { formatBytes, formatDuration, formatMoment } from '../quantity.js';
import { renderTable, type Column } from '../table.js';

export interface ListingOptions extends ClusterOptions {
  readonly json?: boolean;
}

/** Prints the document as JSON, or its rows as a table. */
export function printListing<Row>(
  context: CliContext,
  options: ListingOptions,
  document: object,
  rows: readonly Row[],
  columns: readonly Column<Row>[],
  emptyText: string,
): void {
  if (options.json === true) context.print(`${JSON.stringify(document, null, 2)}\n`);
  else if (rows.length === 0) context.print(`${emptyText}\n`);
  else context.print(renderTable(rows, columns, context));
}

export async function listJobs(context: CliContext, options: ListingOptions): Promise<void> {
  const list = await (await connect(context, options)).jobs();
  const until = (job: JobSummary): number => job.finishedAtMs ?? context.clock.now();
  printListing(
    context,
    options,
    list,
    list.jobs,
    [
      { title: 'JOB', value: (job) => job.jobId },
      { title: 'NAME', value: (job) => job.jobName },
      { title: 'STATUS', value: (job) => job.status },
      { title: 'PARALLELISM', value: (job) => String(job.parallelism), align: 'right' },
      { title: 'RESTARTS', value: (job) => String(job.restarts), align: 'right' },
      { title: 'SUBMITTED', value: (job) => formatMoment(job.submittedAtMs) },
      {
        title: 'DURATION',
        value: (job) => formatDuration(until(job) - job.submittedAtMs),
        align: 'right',
      },
    ],
    'no jobs',
  );
}

export async function listWorkers(context: CliContext, options: ListingOptions): Promise<void> {
  const list = await (await connect(context, options)).workers();
  printListing(
    context,
    options,
    list,
    list.workers,
    [
      { title: 'WORKER', value: (worker) => worker.workerId },
      { title: 'HOST', value: (worker) => worker.host },
      { title: 'PID', value: (worker) => String(worker.pid), align: 'right' },
      {
        title: 'SLOTS FREE',
        value: (worker) =>
          worker.leaving ? 'leaving' : `${worker.slotsFree}/${worker.slotsTotal}`,
        align: 'right',
      },
      { title: 'MEMORY', value: (worker) => formatBytes(worker.rssBytes), align: 'right' },
      { title: 'HEARTBEAT', value: (worker) => `${formatDuration(worker.heartbeatAgeMs)} ago` },
      { title: 'DATA', value: (worker) => worker.dataAddress },
    ],
    'no workers',
  );
}

export async function listSavepoints(context: CliContext, options: ListingOptions): Promise<void> {
  const list = await (await connect(context, options)).savepoints();
  printListing(
    context,
    options,
    list,
    list.savepoints,
    [
      { title: 'SAVEPOINT', value: (savepoint) => savepoint.savepointId },
      { title: 'JOB', value: (savepoint) => savepoint.jobId },
      { title: 'NAME', value: (savepoint) => savepoint.jobName },
      { title: 'CREATED', value: (savepoint) => formatMoment(savepoint.createdAtMs) },
      { title: 'SIZE', value: (savepoint) => formatBytes(savepoint.bytes), align: 'right' },
      { title: 'CLAIMED BY', value: (savepoint) => savepoint.claimedBy ?? '-' },
    ],
    'no savepoints',
  );
}
