/**
 * What happened to a partition that can't be read on from its position, in words that name topic,
 * partition, offset, what there is instead, and the remedy. Positions never move by themselves.
 */
import { MillraceError } from '../../core/errors.js';
import type { KafkaSplit } from './kafka-split.js';
import { START_WITHOUT_STATE } from '../without-state.js';

/** What to do when the log does not have the offset that comes next. */
export type OutOfRangePolicy = 'fail' | 'earliest' | 'latest';

const BEGIN_ANEW = `${START_WITHOUT_STATE}, which reads its topics from startFrom on`;

export function topicDeleted({ topic, partition, offset }: KafkaSplit): MillraceError {
  return new MillraceError(
    'TOPIC_MISSING',
    `topic "${topic}" was deleted (partition ${partition} was read up to offset ${offset}); ` +
      `create it, or leave it out of the job; then ${BEGIN_ANEW}`,
  );
}

export function topicRecreated({ topic, partition, offset }: KafkaSplit): MillraceError {
  return new MillraceError(
    'INPUT_INVALID',
    `topic "${topic}" was deleted and made anew: offset ${offset} of partition ${partition} means ` +
      `another record by now; ${BEGIN_ANEW}`,
  );
}

/** @param split whose leader epoch is known if it was read from */
export function offsetOutOfRange(
  split: KafkaSplit,
  earliest: number,
  latest: number,
): MillraceError {
  const { offset, leaderEpoch } = split;
  let what: string;
  if (offset < earliest) {
    what =
      `${earliest - offset} records were deleted before they were read; raise the topic's ` +
      "retention, or say onOutOfRange: 'earliest' to go on without them";
  } else if (leaderEpoch === undefined) {
    what =
      'it ends before the position at which reading was to begin, or was cut; correct startFrom, or say ' +
      "onOutOfRange: 'latest' to go on at its end";
  } else {
    what =
      `the log was cut by ${offset - latest} records that were read; start from an older ` +
      "savepoint, or say onOutOfRange: 'latest' to go on at its end";
  }
  return new MillraceError('INPUT_INVALID', `${rangeOf(split, earliest, latest)}: ${what}`);
}

/** Of a position that a job gives and has never read from. */
export function startOutOfRange(
  given: Pick<KafkaSplit, 'topic' | 'partition' | 'offset'>,
  earliest: number,
  latest: number,
): MillraceError {
  return new MillraceError(
    'PARAM_INVALID',
    `Kafka source: ${rangeOf(given, earliest, latest)}, which startFrom gives; give one of these, where ` +
      `${latest} is what is written next, or say onOutOfRange`,
  );
}

function rangeOf(
  { topic, partition, offset }: Pick<KafkaSplit, 'topic' | 'partition' | 'offset'>,
  earliest: number,
  latest: number,
): string {
  return `topic "${topic}" partition ${partition} has offsets ${earliest} to ${latest}, not ${offset}`;
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
