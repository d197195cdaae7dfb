/**
 * How far a source is behind, asked of the brokers: where its topics end, and the positions of its last
 * completed checkpoint, of which its group was told, if it has one. Nothing here joins the group or moves it.
 */
import type { KafkaClient } from './kafka-client.js';
import type { KafkaSourceInfo } from './kafka-source-info.js';
import { LATEST } from './offset-requests.js';
import { findTopics } from './split-discovery.js';

export interface PartitionLag {
  readonly topic: string;
  readonly partition: number;
  /** Offset of the next record to read; null: no completed checkpoint has told a group of one. */
  readonly position: number | null;
  /** Behind the last record that the source may read. */
  readonly end: number;
  /** Offsets between them, of which transactions take some for themselves; null without a position. */
  readonly lag: number | null;
}

/**
 * In the order of topics and partitions.
 * @throws MillraceError TOPIC_MISSING, ACCESS_DENIED, BROKER_UNREACHABLE
 */
export async function readSourceLag(
  client: KafkaClient,
  { topics, isolation, groupId }: KafkaSourceInfo,
): Promise<readonly PartitionLag[]> {
  const partitions = (await findTopics(client, topics)).flatMap((found) =>
    found.partitions.map(({ partition }) => ({ topic: found.topic, partition })),
  );
  const [positions, ends] = await Promise.all([
    groupId === undefined ? [] : client.offsetFetch(groupId, partitions),
    client.listOffsets(
      partitions.map((partition) => ({ ...partition, timestamp: LATEST })),
      isolation,
    ),
  ]);
  const positionOf = offsetsBySplit(positions);
  const endOf = offsetsBySplit(ends);
  return partitions
    .map(({ topic, partition }) => {
      const committed = positionOf.get(`${topic}/${partition}`) ?? -1;
      const position = committed < 0 ? null : committed;
      const end = endOf.get(`${topic}/${partition}`) ?? 0;
      // The position may have moved on after the end was asked for.
      return {
        topic,
        partition,
        position,
        end,
        lag: position === null ? null : Math.max(0, end - position),
      };
    })
    .sort((a, b) => (a.topic === b.topic ? a.partition - b.partition : a.topic < b.topic ? -1 : 1));
}

function offsetsBySplit(
  offsets: readonly {
    readonly topic: string;
    readonly partition: number;
    readonly offset: number;
  }[],
): ReadonlyMap<string, number> {
  return new Map(offsets.map(({ topic, partition, offset }) => [`${topic}/${partition}`, offset]));
}
