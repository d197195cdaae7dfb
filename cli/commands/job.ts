/** `millrace job JOB`: one job in detail: its operators, its tasks' load and its failures. */
import type { JobDetails, RescaleReason } from '../../api/rest/job-dto.js';
import type { CliContext } from '../cli-context.js';
import { connect } from '../cluster-connection.js';
import { userFrames } from '../error-report.js';
import { describeParallelism } from '../parallelism.js';
import { formatCount, formatDuration, formatMoment, formatQuantity } from '../quantity.js';
import { renderTable } from '../table.js';
import type { ListingOptions } from './listings.js';

function percent(msPerSecond: number): string {
  return `${Math.round(msPerSecond / 10)}%`;
}

const REASONS = {
  REQUESTED: 'asked for',
  SLOTS_ADDED: 'slots came',
  SLOTS_LOST: 'slots were lost',
  WORKER_LEAVING: 'a worker left',
} as const satisfies Record<RescaleReason, string>;

function describeRescale({ scaling }: JobDetails, { clock }: CliContext): readonly string[] {
  const last = scaling?.history.at(-1);
  if (last === undefined) return [];
  const { from, to, reason, downtimeMs, atMs } = last;
  return [
    `rescaled   ${from} -> ${to} (${REASONS[reason]}), ${formatDuration(downtimeMs)} without output, ` +
      `${formatDuration(clock.now() - atMs)} ago`,
  ];
}

function renderJob(job: JobDetails, context: CliContext): string {
  const until = job.finishedAtMs ?? context.clock.now();
  const head = [
    `job        ${job.jobId}`,
    `name       ${job.jobName}`,
    `status     ${job.status}${job.waitingFor === null ? '' : ` (waits for ${job.waitingFor})`}`,
    `attempt    ${job.attempt}, ${formatQuantity(job.restarts, 'restart')}, ${formatQuantity(job.rescales, 'rescale')}`,
    `parallel   ${describeParallelism(job)}`,
    ...describeRescale(job, context),
    `submitted  ${formatMoment(job.submittedAtMs)}, ${formatDuration(until - job.submittedAtMs)} ago`,
    ...(job.restoredFrom === null ? [] : [`restored   from ${job.restoredFrom}`]),
  ];
  const operators = job.vertices.flatMap((vertex) =>
    vertex.operators.map((operator, index) => ({ vertex, operator, head: index === 0 })),
  );
  const table = renderTable(
    operators,
    [
      { title: 'OPERATOR', value: (row) => `${row.head ? '' : '  '}${row.operator.name}` },
      { title: 'KIND', value: (row) => row.operator.kind },
      { title: 'IN', value: (row) => formatCount(row.operator.recordsIn), align: 'right' },
      { title: 'OUT', value: (row) => formatCount(row.operator.recordsOut), align: 'right' },
      {
        title: 'TASKS',
        value: (row) => (row.head ? String(row.vertex.parallelism) : ''),
        align: 'right',
      },
      {
        title: 'BUSY',
        value: (row) => (row.head ? percent(row.vertex.busyMsPerSecond) : ''),
        align: 'right',
      },
      {
        title: 'BACKPRESSURED',
        value: (row) => (row.head ? percent(row.vertex.backPressuredMsPerSecond) : ''),
        align: 'right',
      },
    ],
    context,
  );
  const metrics = operators.flatMap(({ operator: { name, metrics: named } }) => {
    const values = Object.entries(named).map(
      ([metric, value]) => `${metric} ${formatCount(value)}`,
    );
    return values.length === 0 ? [] : [`${name}: ${values.join(', ')}`];
  });
  const failures = job.failures.flatMap((failure) => [
    `${formatMoment(failure.atMs)}  attempt ${failure.attempt}` +
      (failure.operator === null
        ? ''
        : `  operator ${failure.operator}[${failure.subtask ?? '?'}]`) +
      (failure.worker === null ? '' : `  worker ${failure.worker}`),
    `  ${failure.message}`,
    ...userFrames(failure.stack ?? ''),
  ]);
  const parts = [`${head.join('\n')}\n`, table];
  if (metrics.length > 0) parts.push(`connectors\n${metrics.join('\n')}\n`);
  if (failures.length > 0) parts.push(`failures\n${failures.join('\n')}\n`);
  return parts.join('\n');
}

export async function showJob(
  context: CliContext,
  job: string,
  options: ListingOptions,
): Promise<void> {
  const details = await (await connect(context, options)).job(job);
  context.print(
    options.json === true ? `${JSON.stringify(details, null, 2)}\n` : renderJob(details, context),
  );
}
