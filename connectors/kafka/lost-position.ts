/**
 * What happened to a partition that can't be read on from its position, in words that name topic,
 * partition, offset, what there is instead, and the remedy. Positions never move by themselves.
 */
import { MillraceError } from '../../core/errors.js';
import type { KafkaSplit } from './kafka-split.js';

/** What to do when the log does not have the offset that comes next. */
export type OutOfRangePolicy = 'fail' | 'earliest' | 'latest';

export function topicDeleted({ topic, partition, offset }: KafkaSplit): MillraceError {
  return new MillraceError(
    'TOPIC_MISSING',
    `topic "${topic}" was deleted (partition ${partition} was read up to offset ${offset}); ` +
      'create it and start without this state, or leave it out of the job',
  );
}

export function topicRecreated({ topic, partition, offset }: KafkaSplit): MillraceError {
  return new MillraceError(
    'INPUT_INVALID',
    `topic "${topic}" was deleted and made anew: offset ${offset} of partition ${partition} means ` +
      'another record by now; start without this state',
  );
}

export function offsetOutOfRange(
  { topic, partition, offset }: KafkaSplit,
  earliest: number,
  latest: number,
): MillraceError {
  const what =
    offset < earliest
      ? `${earliest - offset} records were deleted before they were read; raise the topic's ` +
        "retention, or say onOutOfRange: 'earliest' to go on without them"
      : `the log was cut by ${offset - latest} records that were read; start from an older ` +
        "savepoint, or say onOutOfRange: 'latest' to go on at its end";
  return new MillraceError(
    'INPUT_INVALID',
    `topic "${topic}" partition ${partition} has offsets ${earliest} to ${latest}, not ${offset}: ${what}`,
  );
}

export function logDiverged(
  { topic, partition, offset }: KafkaSplit,
  divergedAt: number,
): MillraceError {
  return new MillraceError(
    'INPUT_INVALID',
    `topic "${topic}" partition ${partition} has lost records: the log was cut at offset ${divergedAt} and has ` +
      `others since, where ${offset - divergedAt} were read up to ${offset}; start from an older savepoint, or ` +
      "say onOutOfRange: 'latest' to go on at its end (and keep unclean.leader.election.enable off)",
  );
}

export function noTopics(pattern: RegExp): MillraceError {
  return new MillraceError(
    'TOPIC_MISSING',
    `no topic matches ${String(pattern)}; correct the pattern, or create a topic`,
  );
}
