/**
 * What a request to a Kafka broker is: which API in which version, and how its fields go out and come
 * back. Each request stands in a `*-request.ts` beside this file and knows nothing of connections.
 */
import type { WireReader } from './wire-reader.js';
import type { WireWriter } from './wire-writer.js';

export interface KafkaRequest<T> {
  readonly apiKey: number;
  /** For messages. */
  readonly apiName: string;
  readonly apiVersion: number;
  /** Whether this version uses compact lengths and tagged fields. */
  readonly flexible: boolean;
  /** Longest wait for the answer in ms, if above the connection's own. */
  readonly timeoutMs?: number;
  write(writer: WireWriter): void;
  /**
   * Reads the body of the answer.
   * @param throttle hands on how long the broker asks us to be silent, in ms
   * @param giveBack to be called, or not, when nobody reads the answer's bytes any more: they are written again
   */
  read(reader: WireReader, throttle: (throttleMs: number) => void, giveBack: () => void): T;
}

/** A partition of a topic. */
export interface TopicPartition {
  readonly topic: string;
  readonly partition: number;
}

/** Entries by topic, in the order of their first entry: most requests are arranged like this. */
export function byTopic<T extends { readonly topic: string }>(
  entries: readonly T[],
): readonly { readonly topic: string; readonly partitions: readonly T[] }[] {
  const groups = groupBy(entries, ({ topic }) => topic);
  return [...groups].map(([topic, partitions]) => ({ topic, partitions }));
}

/** What an answer says of each partition it was asked about: most answers to writes look like this. */
export function readPartitionErrors(
  reader: WireReader,
): readonly (TopicPartition & { readonly errorCode: number })[] {
  const topics = reader.array(() => {
    const topic = reader.string();
    return reader.array(() => ({
      topic,
      partition: reader.int32(),
      errorCode: reader.int16(),
    }));
  });
  return topics.flat();
}

/** Entries by a key of theirs, in the order of their first entry. */
export function groupBy<T, K>(entries: readonly T[], key: (entry: T) => K): Map<K, T[]> {
  const groups = new Map<K, T[]>();
  for (const entry of entries) {
    const name = key(entry);
    const group = groups.get(name);
    if (group === undefined) groups.set(name, [entry]);
    else group.push(entry);
  }
  return groups;
}
