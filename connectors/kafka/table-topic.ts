/**
 * Whether topics keep what tables need: the last change of every key. Asked before the first record is
 * read or written; where the settings of a topic may not be seen, nothing is said.
 */
import { MillraceError } from '../../core/errors.js';
import type { KafkaClient } from './kafka-client.js';
import { topicSettings } from './topic-plan.js';

type Settings = Readonly<Record<string, string | null>>;

/** What retention is set to where nothing is deleted. */
const FOR_EVER = '-1';

/**
 * For reading: compacted, or with all that was ever written. A topic that is compacted and deletes what is old holds a
 * table whose rows expire, by the wish of whoever made it.
 * @throws MillraceError PARAM_INVALID naming the topic
 */
export async function checkReadTables(
  client: KafkaClient,
  topics: readonly string[],
): Promise<void> {
  await checkTables(client, topics, 'upsertKafkaSource', (settings) => {
    const isForEver =
      settings['retention.ms'] === FOR_EVER && settings['retention.bytes'] === FOR_EVER;
    return isForEver || isCompacted(settings);
  });
}

/**
 * For writing: compacted, or the topic would grow with every change.
 * @throws MillraceError PARAM_INVALID naming the topic
 */
export async function checkWrittenTable(client: KafkaClient, topic: string): Promise<void> {
  await checkTables(client, [topic], 'upsertKafkaSink', isCompacted);
}

async function checkTables(
  client: KafkaClient,
  topics: readonly string[],
  connector: string,
  isTable: (settings: Settings) => boolean,
): Promise<void> {
  if (topics.length === 0) return;
  const names = ['cleanup.policy', 'retention.ms', 'retention.bytes'];
  for (const [topic, settings] of await topicSettings(client, topics, names)) {
    if (isTable(settings)) continue;
    throw new MillraceError(
      'PARAM_INVALID',
      `${connector}: topic "${topic}" is not compacted, so that it does not keep the last change of ` +
        'every key; set its cleanup.policy to compact',
    );
  }
}

function isCompacted(settings: Settings): boolean {
  return settings['cleanup.policy']?.includes('compact') ?? false;
}
