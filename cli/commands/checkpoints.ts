/**
 * `millrace checkpoints JOB`: the checkpoints and savepoints of a job, newest first, and which of them
 * the job can be started from again.
 */
import type { CliContext } from '../cli-context.js';
import { connect } from '../cluster-connection.js';
import { formatBytes, formatDuration, formatMoment } from '../quantity.js';
import { printListing, type ListingOptions } from './listings.js';

export async function listCheckpoints(
  context: CliContext,
  job: string,
  options: ListingOptions,
): Promise<void> {
  const list = await (await connect(context, options)).checkpoints(job);
  const retained = new Set(list.retained.map(({ checkpointId }) => checkpointId));
  printListing(
    context,
    options,
    list,
    list.history,
    [
      { title: 'ID', value: (checkpoint) => String(checkpoint.checkpointId), align: 'right' },
      { title: 'KIND', value: (checkpoint) => checkpoint.kind },
      { title: 'STATUS', value: (checkpoint) => checkpoint.status },
      { title: 'ATTEMPT', value: (checkpoint) => String(checkpoint.attempt), align: 'right' },
      {
        title: 'ACKNOWLEDGED',
        value: (checkpoint) => `${checkpoint.acknowledged}/${checkpoint.tasks}`,
        align: 'right',
      },
      { title: 'TRIGGERED', value: (checkpoint) => formatMoment(checkpoint.triggeredAtMs) },
      {
        title: 'DURATION',
        value: ({ durationMs }) => (durationMs === null ? '-' : formatDuration(durationMs)),
        align: 'right',
      },
      {
        title: 'WRITTEN',
        value: (checkpoint) => formatBytes(checkpoint.checkpointedBytes),
        align: 'right',
      },
      { title: 'FULL SIZE', value: (checkpoint) => formatBytes(checkpoint.bytes), align: 'right' },
      {
        title: 'IN FLIGHT',
        value: ({ unaligned, inFlightBytes }) =>
          unaligned ? formatBytes(inFlightBytes) : 'aligned',
        align: 'right',
      },
      {
        title: 'RETAINED',
        value: ({ checkpointId }) => (retained.has(checkpointId) ? 'yes' : '-'),
      },
      { title: 'FAILURE', value: (checkpoint) => checkpoint.failure ?? '' },
    ],
    'no checkpoints',
  );
  if (options.json === true) return;
  for (const { checkpointId } of list.history) retained.delete(checkpointId);
  if (retained.size === 0) return;
  context.print(`retained besides, of an earlier coordinator: ${[...retained].join(', ')}\n`);
}
