/**
 * A sink that keeps a table in a compacted Kafka topic: an upsert writes key and value, a delete writes
 * a tombstone. It writes as kafkaSink does, exactly once only the last change of a key per epoch.
 */
import { t } from '../../api/schema.js';
import type { Sink, SinkContext, SinkWriter } from '../../api/sink.js';
import { invariant } from '../../core/errors.js';
import type { EncodingFormat } from '../formats/format.js';
import { writtenFormat } from '../formats/format-option.js';
import { raw } from '../formats/raw.js';
import { checkOptions, optional, wholeNumber } from '../../core/option-check.js';
import { ChangeReducer, type EncodedChange } from './change-reducer.js';
import { changeSchema, type Change } from './change.js';
import { checkCluster } from './cluster-check.js';
import { formatContext } from './format-place.js';
import { KafkaClient } from './kafka-client.js';
import type { KafkaCommittable } from './kafka-committable.js';
import { kafkaSink } from './kafka-sink.js';
import { checkTopicName, SINK_RULES, type KafkaSinkOptions } from './kafka-sink-options.js';
import { checkWrittenTable } from './table-topic.js';

export interface UpsertKafkaSinkOptions<K, V> extends Omit<
  KafkaSinkOptions<Change<K, V>, K>,
  'topic' | 'key' | 'value' | 'tombstone' | 'partitioner'
> {
  /** It has to exist, and to be compacted. */
  readonly topic: string;
  readonly key: EncodingFormat<K>;
  readonly value: EncodingFormat<V>;
  /**
   * exactlyOnce: changes are held up to this size, so that of each key only the last one is written; 4 MiB by
   * default; 0: every change is written.
   */
  readonly reduceBytes?: number;
}

const REDUCE_BYTES_DEFAULT = 4 * 1024 * 1024;

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
  const { reduceBytes = REDUCE_BYTES_DEFAULT, ...kafka } = checkOptions(
    'upsertKafkaSink',
    options,
    {
      ...SINK_RULES,
      topic: checkTopicName,
      key: writtenFormat,
      value: writtenFormat,
      reduceBytes: optional(wholeNumber(0)),
    },
  );
  const { connection, topic, key, value, delivery = 'exactlyOnce' } = kafka;
  const sink = kafkaSink<Change<K, V>, K>({
    ...kafka,
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
      const isReduced = delivery === 'exactlyOnce' && reduceBytes > 0;
      return isReduced ? openReducer(kafka, reduceBytes, context) : sink.createWriter(context);
    },
  };
}

async function openReducer<K, V>(
  { key, value, timestamp, headers, ...kafka }: Omit<UpsertKafkaSinkOptions<K, V>, 'reduceBytes'>,
  bytesMax: number,
  context: SinkContext,
): Promise<SinkWriter<Change<K, V>, KafkaCommittable>> {
  const { topic } = kafka;
  const [keyEncoder, valueEncoder] = await Promise.all([
    key.createEncoder(formatContext(topic, 'key')),
    value.createEncoder(formatContext(topic, 'value')),
  ]);
  const sink = kafkaSink<EncodedChange, Uint8Array>({
    ...kafka,
    key: { of: (change) => change.key ?? null, format: raw() },
    value: encodedValue,
    tombstone: (change) => change.value === undefined,
    ...(timestamp === undefined ? {} : { timestamp: (_, chosen) => chosen }),
    ...(headers === undefined ? {} : { headers: (change) => change.headers }),
  });
  return new ChangeReducer({
    writer: await sink.createWriter(context),
    key: keyEncoder,
    value: valueEncoder,
    timestamp,
    headers,
    bytesMax,
  });
}

/** Bytes as they are. */
const encodedValue: EncodingFormat<EncodedChange> = {
  name: 'encoded',
  schema: t.record({
    key: t.optional(t.bytes),
    value: t.optional(t.bytes),
    headers: t.array(t.record({ key: t.string, value: t.optional(t.bytes) })),
  }),
  async createEncoder(context) {
    const encoder = await raw().createEncoder(context);
    return {
      encode: ({ value }, target, start) => {
        invariant(value !== undefined, 'of a delete only the key is written');
        return encoder.encode(value, target, start);
      },
    };
  },
};

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
