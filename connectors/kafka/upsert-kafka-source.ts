/**
 * A source of the changes of tables that Kafka topics keep. It reads as kafkaSource does, from the first
 * record on: a table is known only to who has seen all of its changes.
 */
import type { Source } from '../../api/source.js';
import type { Format } from '../formats/format.js';
import { readFormat } from '../formats/format-option.js';
import { checkOptions } from '../../core/option-check.js';
import { ChangeDecoder } from './change-decoder.js';
import { changeSchema, type Change } from './change.js';
import { formatContext } from './format-place.js';
import { createKafkaSource } from './kafka-source.js';
import { SOURCE_RULES, type KafkaSourceOptions } from './kafka-source-options.js';
import type { KafkaSplit } from './kafka-split.js';
import { checkNamedTopics } from './position-options.js';
import { checkReadTables } from './table-topic.js';

export interface UpsertKafkaSourceOptions<K, V> extends Omit<
  KafkaSourceOptions<V>,
  'startFrom' | 'onOutOfRange'
> {
  readonly key: Format<K>;
}

/**
 * A source of the changes of tables, in the order of each key. After compaction a key's earlier changes are
 * missing, never its last; deletes stay for the topic's `delete.retention.ms`.
 *
 * A record without a key is poison. Reading fails as that of kafkaSource, and with PARAM_INVALID for a topic
 * that is not compacted and does not keep all records either.
 * @throws MillraceError PARAM_INVALID naming the option that is wrong
 */
export function upsertKafkaSource<K, V>(
  options: UpsertKafkaSourceOptions<K, V>,
): Source<Change<K, V>, KafkaSplit> {
  const given = checkOptions('upsertKafkaSource', options, { ...SOURCE_RULES, key: readFormat });
  checkNamedTopics('upsertKafkaSource', given);
  const { key, value } = given;
  return createKafkaSource<V, Change<K, V>>(
    { ...given, startFrom: 'earliest', onOutOfRange: 'fail' },
    {
      formats: { key, value },
      schema: changeSchema(key.schema, value.schema),
      decoderFor: ({ topic }) =>
        new ChangeDecoder(
          key.createDecoder(formatContext(topic, 'key')),
          value.createDecoder(formatContext(topic, 'value')),
        ),
      checkTopics: checkReadTables,
    },
  );
}
