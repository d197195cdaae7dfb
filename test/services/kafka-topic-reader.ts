/**
 * What is in topics according to Kafka's own consumer, in a process of its own: the judge of what our
 * connector wrote. It checks the CRC of every batch and gives committed records only.
 */
import { join } from 'node:path';
import type { KafkaService } from './kafka.js';
import { runKafkaTool } from './kafka-installation.js';

export interface TopicRecord {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  /** ms since the epoch */
  readonly timestamp: number;
  readonly key: Buffer | null;
  readonly value: Buffer | null;
  readonly headers: readonly (readonly [name: string, value: Buffer | null])[];
}

/** Tests run at the project's root, and Java compiles it each time. */
export const TOPIC_READER = join('test', 'services', 'TopicReader.java');

/**
 * Reads topics from their beginnings to where they end now, each partition in its order. Waits for
 * transactions that are open there. Takes seconds: ask for all topics at once.
 * @throws Error when a topic does not exist, a batch is corrupt, or a transaction stays open for 75 s
 */
export async function readTopics(
  kafka: KafkaService,
  topics: readonly string[],
): Promise<readonly TopicRecord[]> {
  const output = await runKafkaTool(kafka.version, [
    TOPIC_READER,
    kafka.bootstrapServers,
    ...topics,
  ]);
  return output
    .split('\n')
    .filter((line) => line !== '')
    .map(recordOf);
}

function recordOf(line: string): TopicRecord {
  const [topic = '', partition, offset, timestamp, key, value, headers = ''] = line.split('\t');
  return {
    topic,
    partition: Number(partition),
    offset: Number(offset),
    timestamp: Number(timestamp),
    key: bytesOf(key),
    value: bytesOf(value),
    headers: headers === '' ? [] : headers.split(',').map(headerOf),
  };
}

function headerOf(text: string): readonly [string, Buffer | null] {
  const [name, value] = text.split(':');
  return [bytesOf(name)?.toString() ?? '', bytesOf(value)];
}

function bytesOf(text = '-'): Buffer | null {
  return text === '-' ? null : Buffer.from(text, 'base64');
}
