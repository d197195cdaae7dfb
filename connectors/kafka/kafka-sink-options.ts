/**
 * What a job says of a Kafka sink, and whether that can be: all that shows without asking a broker. Jobs are
 * submitted without a type check, so nothing may be taken for granted here.
 */
import { MillraceError } from '../../core/errors.js';
import type { EncodingFormat } from '../formats/format.js';
import { writtenFormat } from '../formats/format-option.js';
import {
  callback,
  checkOptions,
  fitting,
  group,
  isRecord,
  oneOf,
  optional,
  text,
  wholeNumber,
  type OptionRule,
  type OptionRules,
} from '../../core/option-check.js';
import { COMPRESSIONS, type Compression } from './compression.js';
import { checkConnection, type KafkaConnectionOptions } from './kafka-connection.js';
import type { KafkaHeader } from './kafka-record.js';

/** How often a record is in the topic after failures: once; once or more; or perhaps not at all. */
export type KafkaDelivery = 'exactlyOnce' | 'atLeastOnce' | 'none';

/** How long a transaction is open: for the commit of a checkpoint, or from the first record of its epoch on. */
export type KafkaTransaction = 'atCheckpoint' | 'streaming';

/** A topic for each record, out of those that are named: a job that starts finds out whether they exist. */
export interface TopicPerRecord<T> {
  readonly names: readonly string[];
  readonly of: (record: T) => string;
}

export interface KafkaKey<T, K> {
  /** null: none; such records go wherever a batch is being filled. */
  readonly of: (record: T) => K | null;
  readonly format: EncodingFormat<K>;
}

export interface KafkaSinkOptions<T, K = never> {
  readonly connection: KafkaConnectionOptions;
  /** It has to exist. */
  readonly topic: string | TopicPerRecord<T>;
  readonly value: EncodingFormat<T>;
  readonly key?: KafkaKey<T, K>;
  /** Records of which only the key is written, which deletes it in a compacted topic; none by default. */
  readonly tombstone?: (record: T) => boolean;
  /** From 0 to partitions - 1; by default as Kafka's own producers do it: by murmur2 of the key. */
  readonly partitioner?: (record: T, partitions: number) => number;
  /** Whole ms; by default the record's event time, or the time of writing where it has none. */
  readonly timestamp?: (record: T, eventTimestamp: number) => number;
  readonly headers?: (record: T) => readonly KafkaHeader[];
  /** `exactlyOnce` by default. */
  readonly delivery?: KafkaDelivery;
  /**
   * exactlyOnce: `atCheckpoint` by default. With `streaming` records go to the brokers while the epoch runs,
   * and checkpoints don't hold them; what the brokers abort, because it was open for too long, is lost.
   */
  readonly transaction?: KafkaTransaction;
  /** `none` by default. */
  readonly compression?: Compression;
  /** A batch is finished at this size, 256 KiB by default. */
  readonly batchBytes?: number;
  /** atCheckpoint: what a subtask may hold for one checkpoint, 256 MiB by default. */
  readonly epochBytesMax?: number;
  /** exactlyOnce: how the transactional ids begin, `millrace` by default. */
  readonly transactionalIdPrefix?: string;
  /** exactlyOnce: the topic of the markers, made if it is not there; `millrace-sink-markers` by default. */
  readonly markerTopic?: string;
  /**
   * exactlyOnce: how long a transaction may be open. For `atCheckpoint` that is the commit of a checkpoint, 60,000 ms by
   * default; for `streaming` all from the begin of an epoch to its commit, a restart in between included: 900,000 ms,
   * which brokers allow unless they are set otherwise.
   */
  readonly transactionTimeoutMs?: number;
  /**
   * Otherwise: how long a record waits for others at most, 5 ms by default. With `streaming` 50 ms: readers of what is
   * committed wait for the checkpoint, and the barrier waits for nobody.
   */
  readonly lingerMs?: number;
  /** Otherwise: bytes that brokers have not acknowledged, 32 MiB by default. */
  readonly unsentBytesMax?: number;
  /** How long to go on when brokers are away, 30,000 ms by default; then the task fails. */
  readonly patienceMs?: number;
}

const DEFAULTS = {
  delivery: 'exactlyOnce',
  transaction: 'atCheckpoint',
  compression: 'none',
  batchBytes: 256 * 1024,
  epochBytesMax: 256 * 1024 * 1024,
  transactionalIdPrefix: 'millrace',
  markerTopic: 'millrace-sink-markers',
  transactionTimeoutMs: 60_000,
  lingerMs: 5,
  unsentBytesMax: 32 * 1024 * 1024,
  patienceMs: 30_000,
} as const;
const STREAMING_DEFAULTS = { transactionTimeoutMs: 900_000, lingerMs: 50 } as const;

export type KafkaSinkSettings<T, K> = KafkaSinkOptions<T, K> &
  Required<Pick<KafkaSinkOptions<T, K>, keyof typeof DEFAULTS>>;

/** Of all sinks of Kafka's records. */
export const SINK_RULES: OptionRules<
  Omit<KafkaSinkOptions<unknown>, 'topic' | 'value' | 'key' | 'tombstone' | 'partitioner'>
> = {
  connection: checkConnection,
  timestamp: optional(callback('(record, eventTimestamp) => ms')),
  headers: optional(callback('(record) => [{ key, value }]')),
  delivery: optional(oneOf(['exactlyOnce', 'atLeastOnce', 'none'])),
  transaction: optional(oneOf(['atCheckpoint', 'streaming'])),
  compression: optional(oneOf(COMPRESSIONS)),
  batchBytes: optional(wholeNumber(1)),
  epochBytesMax: optional(wholeNumber(1)),
  transactionalIdPrefix: optional(text('a name, or leave it out')),
  markerTopic: optional(text('a name, or leave it out')),
  transactionTimeoutMs: optional(wholeNumber(1)),
  lingerMs: optional(wholeNumber(0)),
  unsentBytesMax: optional(wholeNumber(1)),
  patienceMs: optional(wholeNumber(0)),
};

export const checkTopicName: OptionRule = text("a topic's name");
const checkTopicPerRecord = group<TopicPerRecord<unknown>>({
  names: fitting(
    'a list of names',
    (value) =>
      Array.isArray(value) &&
      value.length > 0 &&
      value.every((name) => typeof name === 'string' && name !== ''),
  ),
  of: callback('(record) => name'),
});

const RULES: OptionRules<KafkaSinkOptions<unknown, unknown>> = {
  ...SINK_RULES,
  topic: (name, value) => {
    (isRecord(value) ? checkTopicPerRecord : checkTopicName)(name, value);
  },
  value: writtenFormat,
  key: optional(
    group<KafkaKey<unknown, unknown>>({ of: callback('(record) => key'), format: writtenFormat }),
  ),
  tombstone: optional(callback('(record) => boolean')),
  partitioner: optional(callback('(record, partitions) => partition')),
};

/**
 * The options, with what they are unless told.
 * @throws MillraceError PARAM_INVALID naming the option that is wrong
 */
export function sinkSettings<T, K>(options: KafkaSinkOptions<T, K>): KafkaSinkSettings<T, K> {
  const given = checkOptions('kafkaSink', options, RULES);
  const { delivery = DEFAULTS.delivery, transaction = DEFAULTS.transaction } = given;
  const isStreaming = delivery === 'exactlyOnce' && transaction === 'streaming';
  const settings = { ...DEFAULTS, ...(isStreaming ? STREAMING_DEFAULTS : {}), ...given };
  const { topic, markerTopic } = settings;
  const names = typeof topic === 'string' ? [topic] : topic.names;
  if (new Set(names).size < names.length) throw invalid('a topic is named twice; name it once');
  if (names.includes(markerTopic)) {
    throw invalid(`topic "${markerTopic}" is for markers; name another markerTopic`);
  }
  if (settings.tombstone !== undefined && settings.key === undefined) {
    throw invalid('tombstone is given and key is not; give key as well');
  }
  return settings;
}

function invalid(message: string): MillraceError {
  return new MillraceError('PARAM_INVALID', `kafkaSink: ${message}`);
}
