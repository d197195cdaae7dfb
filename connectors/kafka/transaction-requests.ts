/**
 * Requests of a transactional producer: identity, the partitions of a transaction, its end, and who
 * coordinates it (and groups).
 */
import {
  byTopic,
  readPartitionErrors,
  type KafkaRequest,
  type TopicPartition,
} from './kafka-request.js';

/** Who a producer is towards the brokers. */
export interface ProducerIdentity {
  readonly producerId: bigint;
  readonly producerEpoch: number;
}

export interface CoordinatorAnswer {
  readonly errorCode: number;
  readonly errorMessage: string | null;
  readonly nodeId: number;
  readonly host: string;
  readonly port: number;
}

export function findCoordinatorRequest(
  kind: 'group' | 'transaction',
  key: string,
): KafkaRequest<CoordinatorAnswer> {
  return {
    apiKey: 10,
    apiName: 'FindCoordinator',
    apiVersion: 2,
    flexible: false,
    write: (writer) => {
      writer.string(key).int8(kind === 'group' ? 0 : 1);
    },
    read: (reader, throttle) => {
      throttle(reader.int32());
      return {
        errorCode: reader.int16(),
        errorMessage: reader.nullableString(),
        nodeId: reader.int32(),
        host: reader.string(),
        port: reader.int32(),
      };
    },
  };
}

/** No producer has it: whoever asks with it takes the id from anybody. */
const NOBODY: ProducerIdentity = { producerId: -1n, producerEpoch: -1 };

/**
 * Fences whoever used the transactional id before, and aborts what they left open.
 * @param current only if this is still who has the id
 */
export function initProducerIdRequest(
  transactionalId: string | null,
  transactionTimeoutMs: number,
  { producerId, producerEpoch }: ProducerIdentity = NOBODY,
): KafkaRequest<ProducerIdentity & { readonly errorCode: number }> {
  return {
    apiKey: 22,
    apiName: 'InitProducerId',
    apiVersion: 3,
    flexible: true,
    write: (writer) => {
      writer.string(transactionalId).int32(transactionTimeoutMs);
      writer.int64(producerId).int16(producerEpoch).tags();
    },
    read: (reader, throttle) => {
      throttle(reader.int32());
      const errorCode = reader.int16();
      const identity = { producerId: reader.bigint64(), producerEpoch: reader.int16() };
      reader.tags();
      return { errorCode, ...identity };
    },
  };
}

export function addPartitionsToTxnRequest(
  transactionalId: string,
  { producerId, producerEpoch }: ProducerIdentity,
  partitions: readonly TopicPartition[],
): KafkaRequest<readonly (TopicPartition & { readonly errorCode: number })[]> {
  return {
    apiKey: 24,
    apiName: 'AddPartitionsToTxn',
    apiVersion: 1,
    flexible: false,
    write: (writer) => {
      writer.string(transactionalId).int64(producerId).int16(producerEpoch);
      writer.array(byTopic(partitions), ({ topic, partitions: entries }) => {
        writer.string(topic);
        writer.array(entries, ({ partition }) => writer.int32(partition));
      });
    },
    read: (reader, throttle) => {
      throttle(reader.int32());
      return readPartitionErrors(reader);
    },
  };
}

export function endTxnRequest(
  transactionalId: string,
  { producerId, producerEpoch }: ProducerIdentity,
  outcome: 'commit' | 'abort',
): KafkaRequest<{ readonly errorCode: number }> {
  return {
    apiKey: 26,
    apiName: 'EndTxn',
    apiVersion: 1,
    flexible: false,
    write: (writer) => {
      writer.string(transactionalId).int64(producerId).int16(producerEpoch);
      writer.boolean(outcome === 'commit');
    },
    read: (reader, throttle) => {
      throttle(reader.int32());
      return { errorCode: reader.int16() };
    },
  };
}
