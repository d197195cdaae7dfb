/**
 * What a sink has to know of a topic before it writes to it: how many partitions there are, how large a
 * batch may be, and whether records need a key. Asked once, where a subtask starts: partitions that are
 * added later are used after the next start.
 */
import type { TopicConfig } from './admin-requests.js';
import type { KafkaClient } from './kafka-client.js';
import { hasKafkaCode } from './kafka-error.js';

export interface TopicPlan {
  readonly topic: string;
  readonly partitions: number;
  /** The topic's max.message.bytes. */
  readonly batchBytesMax: number;
  /** Its records are kept by key, so that each needs one. */
  readonly isCompacted: boolean;
}

/** What a broker takes unless it is told otherwise. */
const BATCH_BYTES_MAX_DEFAULT = 1_048_588;
const SETTINGS = ['max.message.bytes', 'cleanup.policy'];

/** @throws MillraceError TOPIC_MISSING, ACCESS_DENIED, BROKER_UNREACHABLE */
export async function planTopics(
  client: KafkaClient,
  names: readonly string[],
): Promise<readonly TopicPlan[]> {
  const topics = await client.topics(names);
  const settings = await topicSettings(client, names, SETTINGS);
  return topics.map(({ topic, partitions }) => {
    const known = settings.get(topic);
    return {
      topic,
      partitions: partitions.length,
      batchBytesMax: Number(known?.['max.message.bytes'] ?? BATCH_BYTES_MAX_DEFAULT),
      isCompacted: known?.['cleanup.policy']?.includes('compact') ?? false,
    };
  });
}

/** Settings by topic; none of a topic whose settings may not be seen. */
export async function topicSettings(
  client: KafkaClient,
  names: readonly string[],
  settings: readonly string[],
): Promise<ReadonlyMap<string, TopicConfig['config']>> {
  try {
    const answers = await client.describeConfigs(names, settings);
    return new Map(answers.map(({ topic, config }) => [topic, config]));
  } catch (error) {
    // Who may read or write need not be allowed to ask.
    if (hasKafkaCode(error, 'TOPIC_AUTHORIZATION_FAILED')) return new Map();
    throw error;
  }
}
