/**
 * A source that reads Kafka topics. Here is what the job's author says; what a reader does with it
 * stands in kafka-reader.ts. There is no consumer group under it: positions live in checkpoints.
 */
import type { Schema } from '../../api/schema.js';
import type { Source, SourceContext } from '../../api/source.js';
import { MillraceError } from '../../core/errors.js';
import type { Format } from '../formats/format.js';
import { raw } from '../formats/raw.js';
import { checkCluster } from './cluster-check.js';
import { checkFormats, formatContext, type RecordFormats } from './format-place.js';
import { KafkaClient } from './kafka-client.js';
import { checkConnection, type KafkaConnectionOptions } from './kafka-connection.js';
import { formatSourceInfo } from './kafka-source-info.js';
import { KafkaReader } from './kafka-reader.js';
import { kafkaRecordSchema, type KafkaRecord } from './kafka-record.js';
import { kafkaSplitSchema, type KafkaSplit } from './kafka-split.js';
import type { OutOfRangePolicy } from './lost-position.js';
import type { PoisonPolicy } from './partition-reader.js';
import {
  EnvelopeDecoder,
  ValueDecoder,
  type RecordDecoder,
  type TombstonePolicy,
} from './record-decoder.js';
import type { IsolationLevel } from './record-set-reader.js';
import { discoverKafkaSplits, findTopics } from './split-discovery.js';
import type { KafkaEnd, KafkaStart } from './split-offsets.js';
import { checkMayUseTopics } from './user-rights.js';

export interface KafkaSourceOptions<V> {
  readonly connection: KafkaConnectionOptions;
  /** Names, or a pattern for all topics that match now or later. */
  readonly topics: string | readonly string[] | RegExp;
  readonly value: Format<V>;
  /** Where to begin when there is no state to go on from; `earliest` by default. */
  readonly startFrom?: KafkaStart;
  /** Where to end; left out: never. */
  readonly boundedAt?: KafkaEnd;
  /** `read_committed` by default: what a transaction wrote comes once it is committed. */
  readonly isolation?: IsolationLevel;
  /** A group that is told of the positions of completed checkpoints, for those who watch it. */
  readonly groupId?: string;
  /** When the log does not have the offset that comes next; `fail` by default. */
  readonly onOutOfRange?: OutOfRangePolicy;
  /**
   * Bytes that hold no record: to the dead-letter output, or fail the job. By default to that output if the job
   * takes it anywhere; so that nothing is lost in silence, a job that does not fails.
   */
  readonly poison?: PoisonPolicy;
  /** How often to look for new partitions and topics, 30,000 ms by default; 0: never. */
  readonly discoveryIntervalMs?: number;
  /** Bytes fetched ahead per subtask, 32 MiB by default. */
  readonly bufferedBytesMax?: number;
}

export interface KafkaValueOptions<V> extends KafkaSourceOptions<V> {
  readonly envelope?: false;
  /** Records whose value is null: left out (default), or to the dead-letter output. */
  readonly tombstones?: TombstonePolicy;
}

export interface KafkaEnvelopeOptions<K, V> extends KafkaSourceOptions<V> {
  /** Records with key, offset, timestamp and headers; tombstones come without a `value`. */
  readonly envelope: true;
  /** Of the key; bytes by default. */
  readonly key?: Format<K>;
}

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
  if (options.envelope !== true) {
    const { value, tombstones = 'skip' } = options;
    const formats = { key: undefined, value };
    return createKafkaSource(options, {
      formats,
      schema: value.schema,
      decoderFor: ({ topic }) =>
        new ValueDecoder(value.createDecoder(formatContext(topic, 'value')), tombstones),
    });
  }
  const { value } = options;
  // Without a key format the type parameter is what raw() gives.
  const key = options.key ?? (raw() as Format<unknown> as Format<K>);
  const schema = kafkaRecordSchema(key.schema, value.schema);
  return createKafkaSource(options, {
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

/** @throws MillraceError PARAM_INVALID naming the option that is wrong */
export function createKafkaSource<V, T>(
  options: KafkaSourceOptions<V>,
  { formats, schema, decoderFor, checkTopics }: RecordView<T>,
): Source<T, KafkaSplit> {
  checkOptions(options);
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
        const names = (await findTopics(client, topics)).map(({ topic }) => topic);
        await checkTopics?.(client, names);
        await checkMayUseTopics(client, names, 'READ');
        return names;
      });
      await checkFormats(formats, found ?? (topics instanceof RegExp ? [] : topics), 'read');
    },
    async discoverSplits(context, known) {
      const client = connect(context);
      try {
        const discovery = { topics, isolation, startFrom, boundedAt, groupId };
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

function checkOptions<V>(options: KafkaSourceOptions<V>): void {
  checkConnection(options.connection);
  const { topics, discoveryIntervalMs = 0, bufferedBytesMax = 1, groupId } = options;
  if (topics instanceof RegExp) {
    if (topics.global || topics.sticky) {
      throw invalid(`the pattern ${String(topics)} remembers its last match; leave out g and y`);
    }
  } else {
    const names = typeof topics === 'string' ? [topics] : topics;
    if (names.length === 0 || names.includes('')) throw invalid('a topic has no name; give one');
    if (new Set(names).size < names.length) throw invalid('a topic is named twice; name it once');
  }
  if (!Number.isSafeInteger(discoveryIntervalMs) || discoveryIntervalMs < 0) {
    throw invalid(`discoveryIntervalMs is ${discoveryIntervalMs}; give ms, or 0 for never`);
  }
  if (!Number.isSafeInteger(bufferedBytesMax) || bufferedBytesMax < 1) {
    throw invalid(`bufferedBytesMax is ${bufferedBytesMax}; give a whole number above 0`);
  }
  if (groupId === '') throw invalid('groupId is empty; give a name, or leave it out');
}

function invalid(message: string): MillraceError {
  return new MillraceError('PARAM_INVALID', `kafkaSource: ${message}`);
}
