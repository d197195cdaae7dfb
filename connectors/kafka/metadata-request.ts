/**
 * Brokers, topics and their leaders (Metadata 12). Topics are known by their id too, so that one that
 * was deleted and made anew is seen; asking must never create a topic.
 */
import type { KafkaRequest } from './kafka-request.js';

export interface BrokerNode {
  readonly id: number;
  readonly host: string;
  readonly port: number;
}

export interface PartitionMetadata {
  readonly partition: number;
  /** Node id; -1: none at present. */
  readonly leader: number;
  readonly errorCode: number;
}

export interface TopicMetadata {
  readonly topic: string;
  /** 32 hex digits. */
  readonly topicId: string;
  readonly errorCode: number;
  readonly isInternal: boolean;
  readonly partitions: readonly PartitionMetadata[];
  /** What the user may do, a bit for each operation by its number; -2^31: nobody asked. */
  readonly operations: number;
}

export interface ClusterMetadata {
  readonly brokers: readonly BrokerNode[];
  /** Node id; -1: not known. */
  readonly controller: number;
  readonly topics: readonly TopicMetadata[];
}

const NO_UUID = '0'.repeat(32);

/** @param topics names; undefined: all @param withOperations whether to ask what the user may do */
export function metadataRequest(
  topics: readonly string[] | undefined,
  withOperations = false,
): KafkaRequest<ClusterMetadata> {
  return {
    apiKey: 3,
    apiName: 'Metadata',
    apiVersion: 12,
    flexible: true,
    write: (writer) => {
      writer.array(topics ?? null, (topic) => writer.uuid(NO_UUID).string(topic).tags());
      // Never creates topics.
      writer.boolean(false).boolean(withOperations).tags();
    },
    read: (reader, throttle) => {
      throttle(reader.int32());
      const brokers = reader.array(() => {
        const node = { id: reader.int32(), host: reader.string(), port: reader.int32() };
        reader.nullableString();
        reader.tags();
        return node;
      });
      reader.nullableString();
      const controller = reader.int32();
      const found = reader.array(() => {
        const errorCode = reader.int16();
        const topic = reader.string();
        const topicId = reader.uuid();
        const isInternal = reader.boolean();
        const partitions = reader.array(() => {
          const partitionError = reader.int16();
          const partition = reader.int32();
          const leader = reader.int32();
          reader.int32();
          for (let list = 0; list < 3; list++) reader.array(() => reader.int32());
          reader.tags();
          return { partition, leader, errorCode: partitionError };
        });
        const operations = reader.int32();
        reader.tags();
        partitions.sort((left, right) => left.partition - right.partition);
        return { topic, topicId, errorCode, isInternal, partitions, operations };
      });
      return { brokers, controller, topics: found };
    },
  };
}
