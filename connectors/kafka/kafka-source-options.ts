/**
 * What a job says of a Kafka source, and whether that can be: all that shows without asking a broker. Jobs are
 * submitted without a type check, so nothing may be taken for granted here.
 */
import { MillraceError } from '../../core/errors.js';
import type { Format } from '../formats/format.js';
import { readFormat } from '../formats/format-option.js';
import {
  checkOptions,
  flag,
  oneOf,
  optional,
  shown,
  text,
  wholeNumber,
  wrong,
  type OptionRules,
} from '../../core/option-check.js';
import { checkConnection, type KafkaConnectionOptions } from './kafka-connection.js';
import type { OutOfRangePolicy } from './lost-position.js';
import type { PoisonPolicy } from './partition-reader.js';
import { checkEnd, checkNamedTopics, checkStart } from './position-options.js';
import type { TombstonePolicy } from './record-decoder.js';
import type { IsolationLevel } from './record-set-reader.js';
import type { KafkaEnd, KafkaStart } from './split-offsets.js';

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

/** Of all sources of Kafka's records. */
export const SOURCE_RULES: OptionRules<
  Omit<KafkaSourceOptions<unknown>, 'startFrom' | 'onOutOfRange'>
> = {
  connection: checkConnection,
  topics: checkTopics,
  value: readFormat,
  boundedAt: optional(checkEnd),
  isolation: optional(oneOf(['read_committed', 'read_uncommitted'])),
  groupId: optional(text('the name of a group, or leave it out')),
  poison: optional(oneOf(['deadLetter', 'fail'])),
  discoveryIntervalMs: optional(wholeNumber(0, 'a whole number of ms, or 0 for never')),
  bufferedBytesMax: optional(wholeNumber(1)),
};

const RULES: OptionRules<KafkaValueOptions<unknown> | KafkaEnvelopeOptions<unknown, unknown>> = {
  ...SOURCE_RULES,
  startFrom: optional(checkStart),
  onOutOfRange: optional(oneOf(['fail', 'earliest', 'latest'])),
  envelope: optional(flag),
  tombstones: optional(oneOf(['skip', 'deadLetter'])),
  key: optional(readFormat),
};

/**
 * @returns the options that are given
 * @throws MillraceError PARAM_INVALID naming the option that is wrong
 */
export function checkSourceOptions<K, V>(
  options: KafkaValueOptions<V> | KafkaEnvelopeOptions<K, V>,
): KafkaValueOptions<V> | KafkaEnvelopeOptions<K, V> {
  const given = checkOptions('kafkaSource', options, RULES);
  if (given.envelope === true && 'tombstones' in given) {
    throw invalid('tombstones is given with envelope: true, which has them; leave it out');
  }
  if (given.envelope !== true && 'key' in given) {
    throw invalid('key is given, and records come without it; say envelope: true, or leave it out');
  }
  checkNamedTopics('kafkaSource', given);
  return given;
}

function checkTopics(name: string, topics: unknown): void {
  if (topics instanceof RegExp) {
    if (!topics.global && !topics.sticky) return;
    throw wrong(
      name,
      `the pattern ${String(topics)}, which remembers its last match`,
      'it without g and y',
    );
  }
  const names: unknown = typeof topics === 'string' ? [topics] : topics;
  const isList = Array.isArray(names) && names.length > 0;
  if (!isList || !names.every((one) => typeof one === 'string' && one !== '')) {
    const found = isList && names === topics ? 'a list with what is no name' : shown(topics);
    throw wrong(name, found, "a topic's name, a list of names, or a pattern such as /^sales-/");
  }
  if (new Set(names).size < names.length) {
    throw wrong(name, 'a list that names a topic twice', 'each of them once');
  }
}

function invalid(message: string): MillraceError {
  return new MillraceError('PARAM_INVALID', `kafkaSource: ${message}`);
}
