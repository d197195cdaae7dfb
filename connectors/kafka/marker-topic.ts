/**
 * The compacted topic that holds the markers of sinks, made if it is not there. A marker is read up to
 * where the log ends now, however long a transaction of somebody else holds that back: what is not seen
 * yet must never be taken for not committed.
 */
import type { Clock } from '../../core/clock.js';
import { MillraceError } from '../../core/errors.js';
import type { FetchedPartition } from './fetch-request.js';
import type { KafkaClient } from './kafka-client.js';
import { answerError, hasKafkaCode, KafkaError } from './kafka-error.js';
import { EARLIEST, LATEST } from './offset-requests.js';
import { FIELD } from './record-batch-header.js';
import { RecordSetReader, type IsolationLevel } from './record-set-reader.js';
import { decodeMarker, type SinkMarker } from './sink-marker.js';

export interface MarkerTopicOptions {
  readonly client: KafkaClient;
  readonly topic: string;
  readonly clock: Pick<Clock, 'monotonic'>;
  /** How long a transaction of somebody else may hold a partition back, ms. */
  readonly hangingMs: number;
}

/** Only for a topic that is made here: whoever made it otherwise had reasons. */
const PARTITIONS = 16;
const SETTINGS = {
  'cleanup.policy': 'compact',
  // Only closed segments are compacted, and each start of a subtask reads what is not.
  'segment.bytes': String(1024 * 1024),
  'min.cleanable.dirty.ratio': '0.1',
};
const UNKNOWN_TOPIC_OR_PARTITION = 3;
const FETCH_BYTES = 1024 * 1024;
const FETCH_WAIT_MS = 200;

export class MarkerTopic {
  private constructor(
    private readonly options: MarkerTopicOptions,
    private readonly topicId: string,
    private readonly leaders: readonly number[],
  ) {}

  /** @throws MillraceError ACCESS_DENIED, OUTPUT_CONFLICT for a topic that does not keep what it is given */
  static async open(options: MarkerTopicOptions): Promise<MarkerTopic> {
    const { client, topic } = options;
    const { topics } = await client.metadata([topic]);
    if (topics[0]?.errorCode === UNKNOWN_TOPIC_OR_PARTITION) {
      const made = { topic, partitions: PARTITIONS, replicationFactor: -1, config: SETTINGS };
      await client.createTopics([made]);
    }
    const [found] = await client.topics([topic]);
    await checkPolicy(client, topic);
    const leaders = found?.partitions.map(({ leader }) => leader) ?? [];
    return new MarkerTopic(options, found?.topicId ?? '', leaders);
  }

  get topic(): string {
    return this.options.topic;
  }

  get partitions(): number {
    return this.leaders.length;
  }

  /**
   * The last marker of the id, as far as the log goes now.
   * @throws MillraceError BROKER_REFUSED when a transaction that nobody ends holds the partition back
   */
  async read(transactionalId: string, partition: number): Promise<SinkMarker | undefined> {
    const { client, topic } = this.options;
    const place = { topic, partition };
    const from = await client.listOffset({ ...place, timestamp: EARLIEST }, 'read_committed');
    // Not the last stable offset: that stays where it is while others have transactions open.
    const until = await client.listOffset({ ...place, timestamp: LATEST }, 'read_uncommitted');
    let marker: SinkMarker | undefined;
    await this.scan(partition, from, until, (key, value) => {
      if (key !== transactionalId) return;
      marker = decodeMarker(value, `topic "${topic}" partition ${partition}`);
    });
    return marker;
  }

  /**
   * Whether the marker at this offset is visible, as soon as that is settled.
   * @throws as `read`
   */
  async isCommitted(transactionalId: string, partition: number, offset: number): Promise<boolean> {
    let committed = false;
    await this.scan(partition, offset, offset + 1, (key, _, at) => {
      committed ||= key === transactionalId && at === offset;
    });
    return committed;
  }

  /** Goes over the committed records of a partition from one offset to another. */
  private async scan(
    partition: number,
    from: number,
    until: number,
    visit: (key: string, value: Uint8Array, offset: number) => void,
  ): Promise<void> {
    const { clock, hangingMs } = this.options;
    const reader = new RecordSetReader({ isolation: 'read_committed' });
    let offset = from;
    let sinceMs = clock.monotonic();
    while (offset < until) {
      const fetched = await this.fetch(partition, offset, 'read_committed');
      reader.begin(fetched.recordSet, { ...fetched, fetchOffset: offset });
      for (;;) {
        await reader.prepare();
        const columns = reader.next();
        if (columns === undefined) break;
        const { bytes, count, offsets, keyStarts, keyEnds, valueStarts, valueEnds } = columns;
        for (let index = 0; index < count; index++) {
          const key = bytes.toString('utf8', keyStarts[index], keyEnds[index]);
          const value = bytes.subarray(valueStarts[index], valueEnds[index]);
          visit(key, value, offsets[index] ?? 0);
        }
      }
      if (reader.nextOffset > offset) {
        offset = reader.nextOffset;
        sinceMs = clock.monotonic();
      } else if (clock.monotonic() - sinceMs > hangingMs) {
        throw await this.hanging(partition, fetched.lastStableOffset);
      }
    }
  }

  private async fetch(
    partition: number,
    fetchOffset: number,
    isolation: IsolationLevel,
  ): Promise<FetchedPartition> {
    const { client, topic } = this.options;
    const leader = this.leaders[partition] ?? -1;
    const wanted = { topicId: this.topicId, partition, fetchOffset, bytesMax: FETCH_BYTES };
    const answer = await client.fetch(leader, [wanted], {
      isolation,
      maxWaitMs: FETCH_WAIT_MS,
      bytesMax: FETCH_BYTES,
    });
    const [fetched] = answer.partitions;
    const errorCode = answer.errorCode === 0 ? (fetched?.errorCode ?? 0) : answer.errorCode;
    if (fetched !== undefined && errorCode === 0) return fetched;
    throw answerError('Fetch', errorCode, { broker: client.brokerName(leader), topic, partition });
  }

  /** Names the transaction that begins where the committed records end. */
  private async hanging(partition: number, lastStableOffset: number): Promise<KafkaError> {
    const { topic, hangingMs } = this.options;
    const { recordSet } = await this.fetch(partition, lastStableOffset, 'read_uncommitted');
    const known = recordSet.length >= FIELD.records;
    const producer = known
      ? `producer id ${recordSet.readBigInt64BE(FIELD.producerId)}, epoch ${recordSet.readInt16BE(FIELD.producerEpoch)}`
      : 'a producer that is not known';
    return new KafkaError(
      'BROKER_REFUSED',
      `a hanging transaction (${producer}) holds back topic "${topic}" partition ${partition} at ` +
        `offset ${lastStableOffset} for more than ${hangingMs} ms, so that nobody can know what is ` +
        'committed; look at it with "kafka-transactions.sh find-hanging", end it with its "abort"',
      { kafkaCode: 'HANGING_TRANSACTION', retriable: false },
    );
  }
}

async function checkPolicy(client: KafkaClient, topic: string): Promise<void> {
  let policy: string | null | undefined;
  try {
    const [answer] = await client.describeConfigs([topic], ['cleanup.policy']);
    policy = answer?.config['cleanup.policy'];
  } catch (error) {
    // Who may not ask has to trust whoever made it.
    if (!hasKafkaCode(error, 'TOPIC_AUTHORIZATION_FAILED')) throw error;
  }
  if (policy === undefined || policy === 'compact') return;
  throw new MillraceError(
    'OUTPUT_CONFLICT',
    `topic "${topic}" has cleanup.policy=${String(policy)} and would forget what is committed; ` +
      'set cleanup.policy=compact, or name another markerTopic',
  );
}
