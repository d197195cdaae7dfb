/**
 * A sink that keeps a table in a compacted Kafka topic: an upsert writes key and value, a delete writes
 * a tombstone. It writes as kafkaSink does.
 */
import type { Sink } from '../../api/sink.js';
import { invariant } from '../../core/errors.js';
import type { EncodingFormat } from '../formats/format.js';
import { changeSchema, type Change } from './change.js';
import { checkCluster } from './cluster-check.js';
import { KafkaClient } from './kafka-client.js';
import type { KafkaCommittable } from './kafka-committable.js';
import { kafkaSink, type KafkaSinkOptions } from './kafka-sink.js';
import { checkWrittenTable } from './table-topic.js';

export interface UpsertKafkaSinkOptions<K, V> extends Omit<
  KafkaSinkOptions<Change<K, V>, K>,
  'topic' | 'key' | 'value' | 'tombstone' | 'partitioner'
> {
  /** It has to exist, and to be compacted. */
  readonly topic: string;
  readonly key: EncodingFormat<K>;
  readonly value: EncodingFormat<V>;
}

/**
 * A sink of the changes of a table. The partition follows from the key as with Kafka's own producers. Changes of one
 * key keep their order if they come from one subtask: key the stream by the change's key.
 *
 * Writing fails as that of kafkaSink, and with PARAM_INVALID for a topic that is not compacted.
 * @throws MillraceError PARAM_INVALID naming the option that is wrong
 */
export function upsertKafkaSink<K, V>(
  options: UpsertKafkaSinkOptions<K, V>,
): Sink<Change<K, V>, KafkaCommittable> {
  const { connection, topic, key, value } = options;
  const sink = kafkaSink<Change<K, V>, K>({
    ...options,
    key: { of: (change) => change.key, format: key },
    value: upsertedValue(key, value),
    tombstone: ({ op }) => op === 'delete',
  });
  return {
    ...sink,
    async check(context) {
      await checkCluster(connection, context, (client) => checkWrittenTable(client, topic));
      await sink.check?.(context);
    },
    async createWriter(context) {
      const client = new KafkaClient({ connection, clock: context.clock });
      try {
        await checkWrittenTable(client, topic);
      } finally {
        client.close();
      }
      return sink.createWriter(context);
    },
  };
}

/** Of a change the value is written, where there is one. */
function upsertedValue<K, V>(
  key: EncodingFormat<K>,
  value: EncodingFormat<V>,
): EncodingFormat<Change<K, V>> {
  return {
    name: value.name,
    schema: changeSchema(key.schema, value.schema),
    async createEncoder(context) {
      const encoder = await value.createEncoder(context);
      return {
        encode: (change, target, start) => {
          invariant(change.op === 'upsert', 'of a delete only the key is written');
          return encoder.encode(change.value, target, start);
        },
      };
    },
    check: async (context, use) => value.check?.(context, use),
  };
}
