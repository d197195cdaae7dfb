/** A Kafka record with all that Kafka knows of it, for jobs that ask for more than its value. */
import { t, type Schema } from '../../api/schema.js';

/** A header as it stands in the record; names may come more than once. */
export interface KafkaHeader {
  readonly key: string;
  /** Left out: null. */
  readonly value?: Uint8Array;
}

export interface KafkaRecord<K, V> {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  /** Milliseconds since the epoch, as the producer or the broker set it; -1: neither did. */
  readonly timestamp: number;
  /** Left out: null. */
  readonly key?: K;
  /** Left out: null, which deletes the key in a compacted topic. */
  readonly value?: V;
  readonly headers: readonly KafkaHeader[];
}

export function kafkaRecordSchema<K, V>(
  key: Schema<K>,
  value: Schema<V>,
): Schema<KafkaRecord<K, V>> {
  return t.record({
    topic: t.string,
    partition: t.int32,
    offset: t.float64,
    timestamp: t.timestamp,
    key: t.optional(key),
    value: t.optional(value),
    headers: t.array(t.record({ key: t.string, value: t.optional(t.bytes) })),
  });
}
