/**
 * What a job may give as the beginning and end of its reading, by form, and whether it reads the topics that are
 * named there. What needs a broker stands in given-offsets.ts.
 */
import { MillraceError } from '../../core/errors.js';
import {
  fitting,
  group,
  isRecord,
  oneOf,
  optional,
  shown,
  text,
  wholeNumber,
  wrong,
  type OptionRule,
} from '../../core/option-check.js';
import type { KafkaEnd, KafkaOffsets, KafkaStart } from './split-offsets.js';

/** Of a source that gives offsets. */
export interface PositionOptions {
  readonly topics: string | readonly string[] | RegExp;
  readonly startFrom?: KafkaStart | undefined;
  readonly boundedAt?: KafkaEnd | undefined;
}

const partitionOffsets = fitting(
  'partitions with whole numbers from 0, such as { 0: 17 }',
  (value) =>
    isRecord(value) &&
    Object.entries(value).every(
      ([partition, offset]) =>
        /^\d{1,9}$/.test(partition) && Number.isSafeInteger(offset) && Number(offset) >= 0,
    ),
);

const at = group<{ readonly timestamp: number }>({
  timestamp: wholeNumber(0, "a whole number of ms since 1970, such as Date.parse('2026-01-31')"),
});
const given = group<{ readonly offsets: KafkaOffsets }>({
  offsets: (name, value) => {
    if (!isRecord(value)) throw wrong(name, shown(value), '{ topic: { 0: 17 } }');
    for (const [topic, offsets] of Object.entries(value))
      partitionOffsets(`${name}.${topic}`, offsets);
  },
});
const committed = group<Extract<KafkaStart, { readonly group: string }>>({
  group: text('the name of a group'),
  otherwise: optional(oneOf(['earliest', 'latest'])),
});

/** @throws MillraceError PARAM_INVALID */
export const checkStart: OptionRule = (name, value) => {
  if (value === 'earliest' || value === 'latest') return;
  if (isRecord(value) && 'group' in value) return committed(name, value);
  if (isRecord(value) && 'offsets' in value) return given(name, value);
  if (isRecord(value) && 'timestamp' in value) return at(name, value);
  throw wrong(
    name,
    shown(value),
    "'earliest', 'latest', { timestamp }, { offsets } or { group, otherwise }",
  );
};

/** @throws MillraceError PARAM_INVALID */
export const checkEnd: OptionRule = (name, value) => {
  if (value === 'latest') return;
  if (isRecord(value) && 'offsets' in value) return given(name, value);
  if (isRecord(value) && 'timestamp' in value) return at(name, value);
  throw wrong(name, shown(value), "'latest', { timestamp } or { offsets }");
};

/** @throws MillraceError PARAM_INVALID naming a topic that has offsets and is not read */
export function checkNamedTopics(owner: string, options: PositionOptions): void {
  const { topics } = options;
  const names = typeof topics === 'string' ? [topics] : topics;
  for (const { option, offsets } of givenOffsets(options)) {
    for (const topic of Object.keys(offsets)) {
      if (names instanceof RegExp ? names.test(topic) : names.includes(topic)) continue;
      const read = names instanceof RegExp ? `what matches ${String(names)}` : names.join(', ');
      throw new MillraceError(
        'PARAM_INVALID',
        `${owner}: ${option} has offsets of topic "${topic}", and topics are ${read}; correct one of them`,
      );
    }
  }
}

/** Offsets as they are given, each with its option. */
export function givenOffsets({
  startFrom,
  boundedAt,
}: Pick<PositionOptions, 'startFrom' | 'boundedAt'>): readonly {
  readonly option: 'startFrom' | 'boundedAt';
  readonly offsets: KafkaOffsets;
}[] {
  return [
    { option: 'startFrom', position: startFrom } as const,
    { option: 'boundedAt', position: boundedAt } as const,
  ].flatMap(({ option, position }) =>
    typeof position === 'object' && 'offsets' in position
      ? [{ option, offsets: position.offsets }]
      : [],
  );
}
