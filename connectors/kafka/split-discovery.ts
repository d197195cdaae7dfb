/**
 * Finds the partitions of the topics that a job reads, by name or by pattern. What exists when the job
 * starts begins where the job says; a partition or topic that comes later begins at its first record.
 */
import type { KafkaClient } from './kafka-client.js';
import { checkGivenPartitions, checkGivenStarts } from './given-offsets.js';
import { noTopics, type OutOfRangePolicy } from './lost-position.js';
import { splitId, splitOrdinal, UNBOUNDED, type KafkaSplit } from './kafka-split.js';
import type { TopicMetadata } from './metadata-request.js';
import { SplitOffsets, type KafkaEnd, type KafkaStart } from './split-offsets.js';
import type { IsolationLevel } from './record-set-reader.js';

export interface SplitDiscoveryOptions {
  readonly topics: readonly string[] | RegExp;
  readonly isolation: IsolationLevel;
  readonly startFrom: KafkaStart;
  readonly boundedAt: KafkaEnd | undefined;
  readonly groupId: string | undefined;
  readonly onOutOfRange: OutOfRangePolicy;
}

/**
 * Splits that are not known yet.
 * @param known undefined: the job starts
 * @throws MillraceError TOPIC_MISSING, ACCESS_DENIED, BROKER_UNREACHABLE, INPUT_INVALID, and PARAM_INVALID for an
 * offset that is given of a partition that there is not, or outside of what it has
 */
export async function discoverKafkaSplits(
  client: KafkaClient,
  options: SplitDiscoveryOptions,
  known: ReadonlySet<string> | undefined,
): Promise<readonly KafkaSplit[]> {
  const { boundedAt, groupId, isolation, onOutOfRange, startFrom, topics } = options;
  // What a bounded job reads was settled when it started.
  if (known !== undefined && boundedAt !== undefined) return [];
  const matching = await findTopics(client, topics);
  if (
    topics instanceof RegExp &&
    matching.length === 0 &&
    known === undefined &&
    boundedAt !== undefined
  ) {
    throw noTopics(topics);
  }
  const found = matching.flatMap((topic) =>
    topic.partitions.map(({ partition }) => ({
      id: splitId(topic.topic, partition),
      ordinal: splitOrdinal(topic.topic, partition),
      topic: topic.topic,
      topicId: topic.topicId,
      partition,
    })),
  );
  if (known === undefined) {
    checkGivenPartitions(matching, { startFrom, boundedAt });
    if (onOutOfRange === 'fail') await checkGivenStarts(client, startFrom);
  }
  const fresh = found.filter(({ id }) => known?.has(id) !== true);
  // Whether the group may be told of positions is found out now, not at the first checkpoint.
  if (known === undefined && groupId !== undefined) await client.offsetFetch(groupId, fresh);
  const offsets = new SplitOffsets(client, isolation);
  const starts = await offsets.starts(fresh, known === undefined ? startFrom : 'earliest');
  const ends = boundedAt === undefined ? undefined : await offsets.ends(fresh, boundedAt);
  return fresh.map((split) => ({
    ...split,
    offset: starts.get(split.id) ?? 0,
    end: ends === undefined ? UNBOUNDED : (ends.get(split.id) ?? 0),
  }));
}

/**
 * Topics by their names, or those that match a pattern now.
 * @throws MillraceError TOPIC_MISSING, ACCESS_DENIED, BROKER_UNREACHABLE
 */
export async function findTopics(
  client: KafkaClient,
  topics: readonly string[] | RegExp,
): Promise<readonly TopicMetadata[]> {
  if (!(topics instanceof RegExp)) return client.topics(topics);
  const { topics: all } = await client.metadata();
  return all.filter(
    ({ topic, errorCode, isInternal }) => errorCode === 0 && !isInternal && topics.test(topic),
  );
}
