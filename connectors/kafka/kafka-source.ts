/**
 * A source that reads Kafka topics. What a job's author may say stands in kafka-source-options.ts, what a reader
 * does with it in kafka-reader.ts. There is no consumer group under it: positions live in checkpoints.
 */
import type { Schema } from '../../api/schema.js';
import type { Source, SourceContext } from '../../api/source.js';
import type { Format } from '../formats/format.js';
import { raw } from '../formats/raw.js';
import { checkCluster } from './cluster-check.js';
import { checkFormats, formatContext, type RecordFormats } from './format-place.js';
import { KafkaClient } from './kafka-client.js';
import { checkGivenEnds, checkGivenPartitions } from './given-offsets.js';
import { formatSourceInfo } from './kafka-source-info.js';
import { KafkaReader } from './kafka-reader.js';
import { kafkaRecordSchema, type KafkaRecord } from './kafka-record.js';
import { kafkaSplitSchema, type KafkaSplit } from './kafka-split.js';
import {
  checkSourceOptions,
  type KafkaEnvelopeOptions,
  type KafkaSourceOptions,
  type KafkaValueOptions,
} from './kafka-source-options.js';
import { EnvelopeDecoder, ValueDecoder, type RecordDecoder } from './record-decoder.js';
import { discoverKafkaSplits, findTopics } from './split-discovery.js';
import { checkMayUseTopics } from './user-rights.js';

const DISCOVERY_INTERVAL_MS_DEFAULT = 30_000;
const BUFFERED_BYTES_MAX_DEFAULT = 32 * 1024 * 1024;

/**
 * A source of the records of Kafka topics. A split is a partition, read by one subtask in the order of
 * its offsets; each has a watermark of its own. A bounded source ends at offsets that are settled when
 * the job starts. Without a checkpoint, a restart settles `startFrom` and `boundedAt` again.
 *
 * Reading fails with MillraceError TOPIC_MISSING for a topic that is not there or was deleted,
 * INPUT_INVALID for one that was made anew or lacks the next offset, ACCESS_DENIED, and
 * BROKER_UNREACHABLE once a broker was away for 15 to 30 s; all name topic or broker.
 * @throws MillraceError PARAM_INVALID naming the option that is wrong
 */
export function kafkaSource<K = Uint8Array, V = never>(
  options: KafkaEnvelopeOptions<K, V>,
): Source<KafkaRecord<K, V>, KafkaSplit>;
export function kafkaSource<V>(options: KafkaValueOptions<V>): Source<V, KafkaSplit>;
export function kafkaSource<K, V>(
  options: KafkaValueOptions<V> | KafkaEnvelopeOptions<K, V>,
): Source<V, KafkaSplit> | Source<KafkaRecord<K, V>, KafkaSplit> {
  const given = checkSourceOptions(options);
  if (given.envelope !== true) {
    const { value, tombstones = 'skip' } = given;
    const formats = { key: undefined, value };
    return createKafkaSource(given, {
      formats,
      schema: value.schema,
      decoderFor: ({ topic }) =>
        new ValueDecoder(value.createDecoder(formatContext(topic, 'value')), tombstones),
    });
  }
  const { value } = given;
  // Without a key format the type parameter is what raw() gives.
  const key = given.key ?? (raw() as Format<unknown> as Format<K>);
  const schema = kafkaRecordSchema(key.schema, value.schema);
  return createKafkaSource(given, {
    formats: { key, value },
    schema,
    decoderFor: (split) =>
      new EnvelopeDecoder(
        split,
        key.createDecoder(formatContext(split.topic, 'key')),
        value.createDecoder(formatContext(split.topic, 'value')),
      ),
  });
}

/** What a job gets of the topics' records. */
export interface RecordView<T> {
  readonly formats: RecordFormats;
  readonly schema: Schema<T>;
  readonly decoderFor: (split: KafkaSplit) => RecordDecoder<T>;
  /** Whether topics can be seen so; asked where the job is submitted, and whenever topics are found. */
  readonly checkTopics?: (client: KafkaClient, topics: readonly string[]) => Promise<void>;
}

/** @param options checked */
export function createKafkaSource<V, T>(
  options: KafkaSourceOptions<V>,
  { formats, schema, decoderFor, checkTopics }: RecordView<T>,
): Source<T, KafkaSplit> {
  const { connection, startFrom = 'earliest', boundedAt, groupId } = options;
  const { isolation = 'read_committed', onOutOfRange = 'fail', poison } = options;
  const { discoveryIntervalMs = DISCOVERY_INTERVAL_MS_DEFAULT } = options;
  const { bufferedBytesMax = BUFFERED_BYTES_MAX_DEFAULT } = options;
  const topics = typeof options.topics === 'string' ? [options.topics] : options.topics;
  const bounded = boundedAt !== undefined;
  const connect = ({ clock }: SourceContext): KafkaClient => new KafkaClient({ connection, clock });
  return {
    description: `Kafka ${topics instanceof RegExp ? String(topics) : topics.join(', ')}`,
    info: formatSourceInfo({ connection, topics, isolation, groupId }),
    schema,
    splitSchema: kafkaSplitSchema,
    bounded,
    ...(bounded || discoveryIntervalMs === 0 ? {} : { discoveryIntervalMs }),
    async check(context) {
      const found = await checkCluster(connection, context, async (client) => {
        const matching = await findTopics(client, topics);
        const names = matching.map(({ topic }) => topic);
        await checkTopics?.(client, names);
        await checkMayUseTopics(client, names, 'READ');
        checkGivenPartitions(matching, { startFrom, boundedAt });
        if (onOutOfRange === 'fail') await checkGivenEnds(client, startFrom);
        return names;
      });
      await checkFormats(formats, found ?? (topics instanceof RegExp ? [] : topics), 'read');
    },
    async discoverSplits(context, known) {
      const client = connect(context);
      try {
        const discovery = { topics, isolation, startFrom, boundedAt, groupId, onOutOfRange };
        const splits = await discoverKafkaSplits(client, discovery, known);
        await checkTopics?.(client, [...new Set(splits.map(({ topic }) => topic))]);
        return splits;
      } finally {
        client.close();
      }
    },
    createReader: (context) =>
      new KafkaReader({
        client: connect(context),
        clock: context.clock,
        metrics: context.metrics,
        decoderFor,
        isolation,
        poison,
        onOutOfRange,
        bufferedBytesMax,
        groupId,
      }),
  };
}
