/**
 * Who has a transaction open in a partition (DescribeProducers 0). To be asked of the partitions' leader,
 * by who may read them.
 */
import { byTopic, type KafkaRequest, type TopicPartition } from './kafka-request.js';

export interface ActiveProducer {
  readonly producerId: bigint;
  readonly producerEpoch: number;
  /** Where its open transaction begins; -1: it has none. */
  readonly transactionStart: number;
}

export interface PartitionProducers extends TopicPartition {
  readonly errorCode: number;
  readonly producers: readonly ActiveProducer[];
}

export function describeProducersRequest(
  partitions: readonly TopicPartition[],
): KafkaRequest<readonly PartitionProducers[]> {
  return {
    apiKey: 61,
    apiName: 'DescribeProducers',
    apiVersion: 0,
    flexible: true,
    write: (writer) => {
      writer.array(byTopic(partitions), ({ topic, partitions: entries }) => {
        writer.string(topic);
        writer.array(entries, ({ partition }) => writer.int32(partition));
        writer.tags();
      });
      writer.tags();
    },
    read: (reader, throttle) => {
      throttle(reader.int32());
      const topics = reader.array(() => {
        const topic = reader.string();
        const entries = reader.array((): PartitionProducers => {
          const partition = reader.int32();
          const errorCode = reader.int16();
          reader.nullableString();
          const producers = reader.array((): ActiveProducer => {
            const producerId = reader.bigint64();
            const producerEpoch = reader.int32();
            reader.int32();
            reader.int64();
            reader.int32();
            const transactionStart = reader.int64();
            reader.tags();
            return { producerId, producerEpoch, transactionStart };
          });
          reader.tags();
          return { topic, partition, errorCode, producers };
        });
        reader.tags();
        return entries;
      });
      return topics.flat();
    },
  };
}
