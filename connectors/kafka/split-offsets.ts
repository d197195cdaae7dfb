/**
 * Where the reading of partitions begins and ends: what the job says (earliest, a time, a group's
 * positions...) made into offsets, once, when a partition is found. From then on the split carries them.
 */
import { MillraceError } from '../../core/errors.js';
import type { KafkaClient } from './kafka-client.js';
import { groupBy, type TopicPartition } from './kafka-request.js';
import { EARLIEST, LATEST, type ListOffsetsEntry } from './offset-requests.js';
import { splitId } from './kafka-split.js';
import type { IsolationLevel } from './record-set-reader.js';

/** Offsets by topic and partition. */
export type KafkaOffsets = Readonly<Record<string, Readonly<Record<number, number>>>>;

/**
 * - earliest: the first record that the topic still has
 * - latest: what is written after the source has started
 * - timestamp: the first record of that time (ms) or later
 * - offsets: as given; partitions that are not named begin at the earliest
 * - group: what the group has committed; a partition without that begins as `otherwise` says, or fails
 */
export type KafkaStart =
  | 'earliest'
  | 'latest'
  | { readonly timestamp: number }
  | { readonly offsets: KafkaOffsets }
  | { readonly group: string; readonly otherwise?: 'earliest' | 'latest' };

/**
 * Reading ends before these offsets, as they are when the source starts.
 * - latest: with all that is committed then
 * - timestamp: before the first record of that time (ms) or later
 * - offsets: as given; partitions that are not named end at the latest
 */
export type KafkaEnd =
  'latest' | { readonly timestamp: number } | { readonly offsets: KafkaOffsets };

/** Asks a cluster about many partitions at once. Answers are by split id. */
export class SplitOffsets {
  readonly #client: KafkaClient;
  readonly #isolation: IsolationLevel;

  constructor(client: KafkaClient, isolation: IsolationLevel) {
    this.#client = client;
    this.#isolation = isolation;
  }

  /** @throws MillraceError INPUT_INVALID when a group has no position, or the cluster's reason */
  starts(
    partitions: readonly TopicPartition[],
    start: KafkaStart,
  ): Promise<ReadonlyMap<string, number>> {
    if (start === 'earliest') return this.#listed(partitions, EARLIEST);
    if (start === 'latest') return this.#listed(partitions, LATEST);
    if ('timestamp' in start) return this.#at(partitions, start.timestamp);
    if ('offsets' in start) return this.#given(partitions, start.offsets, EARLIEST);
    return this.#committed(partitions, start.group, start.otherwise);
  }

  ends(partitions: readonly TopicPartition[], end: KafkaEnd): Promise<ReadonlyMap<string, number>> {
    if (end === 'latest') return this.#listed(partitions, LATEST);
    if ('timestamp' in end) return this.#at(partitions, end.timestamp);
    return this.#given(partitions, end.offsets, LATEST);
  }

  /** -1 where there is no record of that time or later. */
  async #listed(
    partitions: readonly TopicPartition[],
    timestamp: number,
  ): Promise<Map<string, number>> {
    const offsets = new Map<string, number>();
    if (partitions.length === 0) return offsets;
    const entries = partitions.map(({ topic, partition }): ListOffsetsEntry => {
      return { topic, partition, timestamp };
    });
    for (const found of await this.#client.listOffsets(entries, this.#isolation)) {
      offsets.set(splitId(found.topic, found.partition), found.offset);
    }
    return offsets;
  }

  async #at(
    partitions: readonly TopicPartition[],
    timestamp: number,
  ): Promise<Map<string, number>> {
    const offsets = await this.#listed(partitions, timestamp);
    const beyond = partitions.filter((one) => (offsets.get(idOf(one)) ?? -1) < 0);
    return new Map([...offsets, ...(await this.#listed(beyond, LATEST))]);
  }

  async #given(
    partitions: readonly TopicPartition[],
    given: KafkaOffsets,
    otherwise: number,
  ): Promise<Map<string, number>> {
    const named = ({ topic, partition }: TopicPartition): number | undefined =>
      given[topic]?.[partition];
    const unnamed = partitions.filter((one) => named(one) === undefined);
    const offsets = await this.#listed(unnamed, otherwise);
    for (const one of partitions) offsets.set(idOf(one), named(one) ?? offsets.get(idOf(one)) ?? 0);
    return offsets;
  }

  async #committed(
    partitions: readonly TopicPartition[],
    group: string,
    otherwise: 'earliest' | 'latest' | undefined,
  ): Promise<Map<string, number>> {
    const committed = await this.#client.offsetFetch(group, partitions);
    const { known = [], missing = [] } = Object.fromEntries(
      groupBy(committed, ({ offset }) => (offset < 0 ? 'missing' : 'known')),
    );
    const [first] = missing;
    if (first !== undefined && otherwise === undefined) {
      throw new MillraceError(
        'INPUT_INVALID',
        `group "${group}" has no committed offset for topic "${first.topic}" partition ` +
          `${first.partition}; correct the group, or say startFrom: { group, otherwise: 'earliest' }`,
      );
    }
    const offsets = await this.#listed(missing, otherwise === 'latest' ? LATEST : EARLIEST);
    for (const one of known) offsets.set(idOf(one), one.offset);
    return offsets;
  }
}

function idOf({ topic, partition }: TopicPartition): string {
  return splitId(topic, partition);
}
