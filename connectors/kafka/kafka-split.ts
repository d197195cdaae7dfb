/**
 * A split of the Kafka source: one partition of a topic, with the offset of the next record to read.
 * Topics are held by their id too, so that a position is never taken for one in a topic made anew.
 */
import { t, type Schema } from '../../api/schema.js';
import type { SourceSplit } from '../../api/source.js';

/** The end of a split that has none. */
export const UNBOUNDED = -1;

export interface KafkaSplit extends SourceSplit {
  readonly topic: string;
  /** 32 hex digits. */
  readonly topicId: string;
  readonly partition: number;
  /** Of the next record to read. */
  readonly offset: number;
  /** Leader epoch of the batch of the record before: tells a log that was cut there. Left out: not known. */
  readonly leaderEpoch?: number;
  /** Behind the last record to read, or UNBOUNDED. */
  readonly end: number;
}

export const kafkaSplitSchema: Schema<KafkaSplit> = t.record({
  id: t.string,
  ordinal: t.int32,
  topic: t.string,
  topicId: t.string,
  partition: t.int32,
  offset: t.float64,
  leaderEpoch: t.optional(t.int32),
  end: t.float64,
});

/** Topics start at different subtasks, or else the first would get all the small ones. */
const ORDINAL_OFFSETS = 65_536;

export function splitId(topic: string, partition: number): string {
  return `${topic}-${partition}`;
}

/**
 * The partitions of a topic count upwards from a number that is the topic's own: they spread evenly, and
 * a topic or partition that comes later moves no other, as counting over all topics would.
 */
export function splitOrdinal(topic: string, partition: number): number {
  return (hash(topic) % ORDINAL_OFFSETS) + partition;
}

export function isAtEnd({ offset, end }: Pick<KafkaSplit, 'offset' | 'end'>): boolean {
  return end !== UNBOUNDED && offset >= end;
}

/** FNV-1a over the UTF-16 units: it only spreads. */
function hash(text: string): number {
  let value = 0x811c9dc5;
  for (let index = 0; index < text.length; index++) {
    value = Math.imul(value ^ text.charCodeAt(index), 0x01000193);
  }
  return value >>> 0;
}
