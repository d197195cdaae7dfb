/**
 * Offsets that a job gives, held against the cluster: whether there are such partitions, and such positions in them.
 * Only where a job begins: from then on positions live in its state, and what is lost there is told by the reader.
 */
import { MillraceError } from '../../core/errors.js';
import type { KafkaClient } from './kafka-client.js';
import { splitId } from './kafka-split.js';
import { startOutOfRange } from './lost-position.js';
import type { TopicMetadata } from './metadata-request.js';
import { EARLIEST, LATEST } from './offset-requests.js';
import { givenOffsets, type PositionOptions } from './position-options.js';
import type { KafkaStart } from './split-offsets.js';

interface Given {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
}

/**
 * @param topics that the job reads now
 * @throws MillraceError PARAM_INVALID naming a topic or partition that is not there, and those that are
 */
export function checkGivenPartitions(
  topics: readonly TopicMetadata[],
  positions: Pick<PositionOptions, 'startFrom' | 'boundedAt'>,
): void {
  for (const { option, offsets } of givenOffsets(positions)) {
    for (const [topic, ofTopic] of Object.entries(offsets)) {
      const found = topics.find((one) => one.topic === topic);
      if (found === undefined) {
        const names = topics.map((one) => one.topic).join(', ') || 'none';
        throw invalid(
          `${option} has offsets of topic "${topic}", and topics that are read are ${names}`,
        );
      }
      const partitions = found.partitions.map(({ partition }) => partition);
      const wrong = Object.keys(ofTopic).find((one) => !partitions.includes(Number(one)));
      if (wrong === undefined) continue;
      const last = String(Math.max(...partitions));
      throw invalid(
        `${option} has an offset of topic "${topic}" partition ${wrong}, and there are 0 to ${last}`,
      );
    }
  }
}

/**
 * For where a job is submitted: whether it starts there is not known yet. If it goes on from its state, what is
 * given may be deleted since, but never lie behind the end.
 * @throws MillraceError PARAM_INVALID
 */
export async function checkGivenEnds(client: KafkaClient, startFrom: KafkaStart): Promise<void> {
  await checkRanges(client, startFrom, ({ offset }, { latest }) => offset <= latest);
}

/** For where a job begins. @throws MillraceError PARAM_INVALID naming what there is */
export async function checkGivenStarts(client: KafkaClient, startFrom: KafkaStart): Promise<void> {
  await checkRanges(
    client,
    startFrom,
    ({ offset }, { earliest, latest }) => earliest <= offset && offset <= latest,
  );
}

async function checkRanges(
  client: KafkaClient,
  startFrom: KafkaStart,
  fits: (given: Given, range: { readonly earliest: number; readonly latest: number }) => boolean,
): Promise<void> {
  const given = givenOffsets({ startFrom }).flatMap(({ offsets }) =>
    Object.entries(offsets).flatMap(([topic, ofTopic]) =>
      Object.entries(ofTopic).map(([partition, offset]): Given => {
        return { topic, partition: Number(partition), offset };
      }),
    ),
  );
  if (given.length === 0) return;
  const list = async (timestamp: number): Promise<ReadonlyMap<string, number>> => {
    const entries = given.map(({ topic, partition }) => ({ topic, partition, timestamp }));
    const found = await client.listOffsets(entries, 'read_uncommitted');
    return new Map(found.map((one) => [idOf(one), one.offset]));
  };
  const [firsts, lasts] = await Promise.all([list(EARLIEST), list(LATEST)]);
  for (const one of given) {
    const range = { earliest: firsts.get(idOf(one)) ?? 0, latest: lasts.get(idOf(one)) ?? 0 };
    if (!fits(one, range)) throw startOutOfRange(one, range.earliest, range.latest);
  }
}

function idOf({ topic, partition }: Pick<Given, 'topic' | 'partition'>): string {
  return splitId(topic, partition);
}

function invalid(message: string): MillraceError {
  return new MillraceError('PARAM_INVALID', `Kafka source: ${message}; correct it`);
}
