/** Writes record batches as they are (Produce 8): encoded, compressed and stamped by whoever calls. */
import { byTopic, type KafkaRequest, type TopicPartition } from './kafka-request.js';

export interface ProducePartition extends TopicPartition {
  /** Whole batches. */
  readonly recordSet: Uint8Array;
}

export interface ProduceOptions {
  /** Undefined: no transaction. */
  readonly transactionalId?: string;
  /** -1: all replicas in sync; 1: the leader. */
  readonly acks: -1 | 1;
  /** How long the broker may wait for replicas, ms. */
  readonly timeoutMs: number;
}

export interface ProducedPartition extends TopicPartition {
  readonly errorCode: number;
  /** In the broker's words, where it gives any. */
  readonly errorMessage: string | null;
  /** Offset of the first record; -1 on errors. */
  readonly baseOffset: number;
}

/** Beyond what the broker waits for replicas. */
const ANSWER_MS = 5_000;
/** Names and numbers around the record sets, mostly. */
const FRAME_BYTES = 1_024;

export function produceRequest(
  partitions: readonly ProducePartition[],
  options: ProduceOptions,
): KafkaRequest<readonly ProducedPartition[]> {
  return {
    apiKey: 0,
    apiName: 'Produce',
    apiVersion: 8,
    flexible: false,
    timeoutMs: options.timeoutMs + ANSWER_MS,
    write: (writer) => {
      writer
        .room(partitions.reduce((sum, { recordSet }) => sum + recordSet.length, FRAME_BYTES))
        .string(options.transactionalId ?? null)
        .int16(options.acks)
        .int32(options.timeoutMs);
      writer.array(byTopic(partitions), ({ topic, partitions: entries }) => {
        writer.string(topic);
        writer.array(entries, ({ partition, recordSet }) =>
          writer.int32(partition).bytes(recordSet),
        );
      });
    },
    read: (reader, throttle) => {
      const produced = reader.array(() => {
        const topic = reader.string();
        return reader.array((): ProducedPartition => {
          const partition = reader.int32();
          const errorCode = reader.int16();
          const baseOffset = reader.int64();
          reader.int64();
          reader.int64();
          const [first] = reader.array(() => {
            const index = reader.int32();
            return { index, message: reader.nullableString() };
          });
          const text = reader.nullableString();
          const record = first === undefined ? '' : `record ${first.index} of the batch`;
          const parts = [record, first?.message ?? '', text ?? ''].filter((part) => part !== '');
          return {
            topic,
            partition,
            errorCode,
            errorMessage: parts.length === 0 ? null : parts.join(': '),
            baseOffset,
          };
        });
      });
      throttle(reader.int32());
      return produced.flat();
    },
  };
}
