/**
 * Writes to topics with Kafka's own producer, in a process of its own: the judge of what our connector
 * reads. Takes seconds: give it all there is to write at once.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { KafkaService } from './kafka.js';
import { runKafkaTool } from './kafka-installation.js';
import type { TopicRecord } from './kafka-topic-reader.js';

/** What is sent at once: one batch of each partition, unless it is large. */
export interface TopicWrite {
  readonly compression: 'none' | 'gzip' | 'snappy' | 'lz4' | 'zstd';
  /** Those of one codec and kind come from one producer, in their order. */
  readonly producer: 'plain' | 'idempotent' | 'transactional';
  /** Of a transaction; it commits unless told. */
  readonly end?: 'commit' | 'abort';
  /** Times from 0 on: Kafka's producer takes no others. */
  readonly records: readonly Omit<TopicRecord, 'offset'>[];
}

/** Tests run at the project's root, and Java compiles it each time. */
const TOPIC_WRITER = join('test', 'services', 'TopicWriter.java');

/** @throws Error when a record was refused */
export async function writeTopics(
  kafka: KafkaService,
  writes: readonly TopicWrite[],
): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'millrace-kafka-plan-'));
  const plan = join(folder, 'plan');
  try {
    await writeFile(plan, writes.map(planOf).join(''));
    await runKafkaTool(kafka.version, [TOPIC_WRITER, kafka.bootstrapServers, plan]);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function planOf({ compression, producer, end = 'commit', records }: TopicWrite): string {
  const lines = [
    ['write', compression, producer],
    ...records.map(({ topic, partition, timestamp, key, value, headers }) => [
      ...['record', topic, partition, timestamp, textOf(key), textOf(value)],
      headers.map(([name, header]) => `${textOf(Buffer.from(name))}:${textOf(header)}`).join(','),
    ]),
    [producer === 'transactional' ? end : 'flush'],
  ];
  return lines.map((line) => `${line.join('\t')}\n`).join('');
}

function textOf(bytes: Buffer | null): string {
  return bytes === null ? '-' : bytes.toString('base64');
}
