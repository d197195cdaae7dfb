/**
 * `millrace kafka lag JOB`: how far the job's Kafka sources are behind, partition by partition, by the
 * positions of its last completed checkpoint, which a source tells its group; without one, by what the
 * source says of itself. The command asks the brokers itself, so that secrets of the connection have to be
 * where it runs.
 */
import type { JobDetails } from '../../api/rest/job-dto.js';
import { KafkaClient } from '../../connectors/kafka/kafka-client.js';
import { parseSourceInfo, type KafkaSourceInfo } from '../../connectors/kafka/kafka-source-info.js';
import { readSourceLag, type PartitionLag } from '../../connectors/kafka/source-lag.js';
import { MillraceError } from '../../core/errors.js';
import type { CliContext } from '../cli-context.js';
import { connect } from '../cluster-connection.js';
import { formatCount } from '../quantity.js';
import { printListing, type ListingOptions } from './listings.js';

interface KafkaSource {
  readonly name: string;
  readonly info: KafkaSourceInfo;
  /** What the source counts itself, over all partitions; undefined: it has not said. */
  readonly pendingRecords: number | undefined;
}

interface SourceLag {
  readonly source: string;
  readonly group: string | null;
  readonly partitions: readonly PartitionLag[];
  /** Over the partitions with a position or, without a group, as the source says; null when neither is known. */
  readonly lag: number | null;
}

/** A broker that restarts is waited for, but not as long as a job would. */
const PATIENCE_MS = 5_000;

export async function listKafkaLag(
  context: CliContext,
  job: string,
  options: ListingOptions,
): Promise<void> {
  const details = await (await connect(context, options)).job(job);
  const sources: SourceLag[] = [];
  for (const source of kafkaSources(details)) sources.push(await lagOf(context, source));
  const rows = sources.flatMap(({ source, partitions }) =>
    partitions.map((partition) => ({ source, ...partition })),
  );
  const { jobId, jobName } = details;
  printListing(
    context,
    options,
    { jobId, jobName, sources },
    rows,
    [
      { title: 'SOURCE', value: (row) => row.source },
      { title: 'TOPIC', value: (row) => row.topic },
      { title: 'PARTITION', value: (row) => String(row.partition), align: 'right' },
      { title: 'POSITION', value: (row) => countOrDash(row.position), align: 'right' },
      { title: 'END', value: (row) => formatCount(row.end), align: 'right' },
      { title: 'LAG', value: (row) => countOrDash(row.lag), align: 'right' },
    ],
    'no partitions',
  );
  if (options.json === true) return;
  for (const lag of sources) context.print(`${lag.source}: ${describeLag(lag)}\n`);
}

function describeLag({ group, lag }: SourceLag): string {
  if (group === null) {
    return lag === null
      ? 'has no groupId, and has not said yet how far it is'
      : `${formatCount(lag)} behind, as it says; give it a groupId to see each partition`;
  }
  return lag === null
    ? `no checkpoint has told group ${group} of a position yet`
    : `${formatCount(lag)} behind, by the last completed checkpoint`;
}

function countOrDash(count: number | null): string {
  return count === null ? '-' : formatCount(count);
}

function kafkaSources({ jobName, status, vertices }: JobDetails): readonly KafkaSource[] {
  const sources = vertices
    .flatMap(({ operators }) => operators)
    .flatMap(({ name, connectorInfo, metrics }) => {
      const info = connectorInfo === null ? undefined : parseSourceInfo(connectorInfo);
      const pendingRecords = metrics['pending_records'];
      return info === undefined ? [] : [{ name, info, pendingRecords }];
    });
  if (sources.length > 0) return sources;
  throw new MillraceError(
    'JOB_STATE_CONFLICT',
    vertices.length === 0
      ? `of job ${jobName} (${status}) only the end is known; ask for one that runs`
      : `job ${jobName} has no Kafka source; ask for one that has`,
  );
}

async function lagOf(
  { clock }: CliContext,
  { name, info, pendingRecords }: KafkaSource,
): Promise<SourceLag> {
  const client = new KafkaClient({ connection: info.connection, clock, patienceMs: PATIENCE_MS });
  try {
    const partitions = await readSourceLag(client, info);
    const known = partitions.flatMap(({ lag }) => lag ?? []);
    const said = info.groupId === undefined ? (pendingRecords ?? null) : null;
    return {
      source: name,
      group: info.groupId ?? null,
      partitions,
      lag: known.length === 0 ? said : known.reduce((sum, lag) => sum + lag, 0),
    };
  } finally {
    client.close();
  }
}
