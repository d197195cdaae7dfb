/**
 * Requests about offsets: where logs begin and end, and what a group has told of its positions. Groups
 * are only written to for people who watch them: no job takes its positions from there while it runs.
 */
import {
  byTopic,
  readPartitionErrors,
  type KafkaRequest,
  type TopicPartition,
} from './kafka-request.js';
import type { IsolationLevel } from './record-set-reader.js';

/** Instead of a time in ms: the log's first offset, and the one behind its last. */
export const EARLIEST = -2;
export const LATEST = -1;

export interface ListOffsetsEntry extends TopicPartition {
  /** The first record of this time (ms) or later; or EARLIEST, or LATEST. */
  readonly timestamp: number;
}

export interface ListedOffset extends TopicPartition {
  readonly errorCode: number;
  /** -1: no record of that time or later. */
  readonly offset: number;
}

export interface PartitionOffset extends TopicPartition {
  readonly offset: number;
}

export interface CommittedOffset extends PartitionOffset {
  readonly errorCode: number;
}

/** To the leader of all the partitions. With read_committed, LATEST is the last stable offset. */
export function listOffsetsRequest(
  entries: readonly ListOffsetsEntry[],
  isolation: IsolationLevel,
): KafkaRequest<readonly ListedOffset[]> {
  return {
    apiKey: 2,
    apiName: 'ListOffsets',
    apiVersion: 5,
    flexible: false,
    write: (writer) => {
      writer.int32(-1).int8(isolation === 'read_committed' ? 1 : 0);
      writer.array(byTopic(entries), ({ topic, partitions }) => {
        writer.string(topic);
        writer.array(partitions, ({ partition, timestamp }) =>
          writer.int32(partition).int32(-1).int64(timestamp),
        );
      });
    },
    read: (reader, throttle) => {
      throttle(reader.int32());
      const topics = reader.array(() => {
        const topic = reader.string();
        return reader.array(() => {
          const partition = reader.int32();
          const errorCode = reader.int16();
          reader.int64();
          const offset = reader.int64();
          reader.int32();
          return { topic, partition, errorCode, offset };
        });
      });
      return topics.flat();
    },
  };
}

/** To the group's coordinator, without being a member: refused while the group has members. */
export function offsetCommitRequest(
  group: string,
  offsets: readonly PartitionOffset[],
): KafkaRequest<readonly (TopicPartition & { readonly errorCode: number })[]> {
  return {
    apiKey: 8,
    apiName: 'OffsetCommit',
    apiVersion: 6,
    flexible: false,
    write: (writer) => {
      writer.string(group).int32(-1).string('');
      writer.array(byTopic(offsets), ({ topic, partitions }) => {
        writer.string(topic);
        writer.array(partitions, ({ partition, offset }) =>
          writer.int32(partition).int64(offset).int32(-1).string(''),
        );
      });
    },
    read: (reader, throttle) => {
      throttle(reader.int32());
      return readPartitionErrors(reader);
    },
  };
}

/** To the group's coordinator. Offset -1: nothing is committed. */
export function offsetFetchRequest(
  group: string,
  partitions: readonly TopicPartition[],
): KafkaRequest<{ readonly errorCode: number; readonly offsets: readonly CommittedOffset[] }> {
  return {
    apiKey: 9,
    apiName: 'OffsetFetch',
    apiVersion: 5,
    flexible: false,
    write: (writer) => {
      writer.string(group);
      writer.array(byTopic(partitions), ({ topic, partitions: entries }) => {
        writer.string(topic);
        writer.array(entries, ({ partition }) => writer.int32(partition));
      });
    },
    read: (reader, throttle) => {
      throttle(reader.int32());
      const topics = reader.array(() => {
        const topic = reader.string();
        return reader.array(() => {
          const partition = reader.int32();
          const offset = reader.int64();
          reader.int32();
          reader.nullableString();
          return { topic, partition, offset, errorCode: reader.int16() };
        });
      });
      return { offsets: topics.flat(), errorCode: reader.int16() };
    },
  };
}
