/**
 * The compacted topic that holds the markers of sinks, made if it is not there. A marker is read up to
 * where the log ends now, and whether it counts is told by the end of its own transaction there: those of
 * others may stay open for long, and hold nothing back here. What is not decided must never be taken for
 * not committed.
 */
import type { Clock } from '../../core/clock.js';
import { MillraceError } from '../../core/errors.js';
import type { FetchedPartition } from './fetch-request.js';
import type { KafkaClient } from './kafka-client.js';
import { answerError, hasKafkaCode, KafkaError } from './kafka-error.js';
import { EARLIEST, LATEST } from './offset-requests.js';
import { FIELD } from './record-batch-header.js';
import type { RecordColumns } from './record-columns.js';
import { RecordSetReader } from './record-set-reader.js';
import { decodeMarker, type SinkMarker } from './sink-marker.js';

type MarkerClient = Pick<
  KafkaClient,
  'brokerName' | 'createTopics' | 'describeConfigs' | 'fetch' | 'listOffset' | 'metadata' | 'topics'
>;

export interface MarkerTopicOptions {
  readonly client: MarkerClient;
  readonly topic: string;
  readonly clock: Pick<Clock, 'monotonic'>;
  /** How long it may take until a transaction with a marker that is looked for has ended, ms. */
  readonly hangingMs: number;
}

/** Which markers are meant: those of one key, from an offset on. */
export interface MarkerPlace {
  readonly key: string;
  readonly partition: number;
  readonly offset: number;
}

/** A marker whose transaction has not ended yet. */
interface Undecided {
  readonly producerId: bigint | undefined;
  readonly marker: SinkMarker;
  readonly offset: number;
}

/** Is given committed markers, in their order; true: that is enough. */
type Visit = (marker: SinkMarker, offset: number) => boolean;

/** Only for a topic that is made here: whoever made it otherwise had reasons. */
const PARTITIONS = 16;
const SETTINGS = {
  'cleanup.policy': 'compact',
  // Only closed segments are compacted, and each start of a subtask reads what is not.
  'segment.bytes': String(1024 * 1024),
  'min.cleanable.dirty.ratio': '0.1',
};
const OFFSET_OUT_OF_RANGE = 1;
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
   * The last marker of the key, as far as the log goes now.
   * @throws MillraceError BROKER_REFUSED when a transaction with such a marker does not end, or the log lacks
   * what brokers had acknowledged
   */
  async read(key: string, partition: number): Promise<SinkMarker | undefined> {
    const { client, topic } = this.options;
    const earliest = { topic, partition, timestamp: EARLIEST };
    const offset = await client.listOffset(earliest, 'read_committed');
    let last: SinkMarker | undefined;
    await this.scan({ key, partition, offset }, await this.end(partition), (marker) => {
      last = marker;
      return false;
    });
    return last;
  }

  /**
   * Whether one of these markers, or of those written since, is committed and meant; as soon as it is settled.
   * @throws as `read`
   */
  async isCommitted(place: MarkerPlace, isMeant: Visit): Promise<boolean> {
    let committed = false;
    const visit: Visit = (marker, offset) => {
      committed ||= isMeant(marker, offset);
      return committed;
    };
    await this.scan(place, place.offset + 1, visit);
    // Compaction has removed it: then a later one of its key is there.
    if (!committed) await this.scan(place, await this.end(place.partition), visit);
    return committed;
  }

  /** Not the last stable offset: that stays where it is while others have transactions open. */
  private end(partition: number): Promise<number> {
    const { client, topic } = this.options;
    return client.listOffset({ topic, partition, timestamp: LATEST }, 'read_uncommitted');
  }

  /** Goes over the markers of a key up to an offset, and on until each of them is decided. */
  private async scan(
    { key, partition, offset: from }: MarkerPlace,
    until: number,
    visit: Visit,
  ): Promise<void> {
    const { clock, topic, hangingMs } = this.options;
    let undecided: Undecided[] = [];
    let enough = false;
    const reader = new RecordSetReader({
      isolation: 'read_uncommitted',
      onEnd: (ended, end) => {
        const decided = undecided.filter(({ producerId }) => producerId === ended);
        undecided = undecided.filter(({ producerId }) => producerId !== ended);
        if (end === 'abort') return;
        for (const { marker, offset } of decided) enough ||= visit(marker, offset);
      },
    });
    let offset = from;
    let sinceMs = clock.monotonic();
    while (!enough && (offset < until || undecided.length > 0)) {
      const fetched = await this.fetch(partition, offset);
      reader.begin(fetched.recordSet, { ...fetched, fetchOffset: offset });
      for (;;) {
        await reader.prepare();
        const columns = reader.next();
        if (columns === undefined) break;
        const producerId = reader.transactionOf;
        for (const { value, at } of recordsOf(columns, key)) {
          const marker = decodeMarker(value, `topic "${topic}" partition ${partition}`);
          if (producerId === undefined) enough ||= visit(marker, at);
          else undecided.push({ producerId, marker, offset: at });
        }
      }
      const [oldest] = undecided;
      // What others write says nothing of a transaction that is waited for.
      if (reader.nextOffset > offset && offset < until) sinceMs = clock.monotonic();
      else if (clock.monotonic() - sinceMs > hangingMs) {
        throw await this.hanging(partition, oldest?.offset ?? offset);
      }
      offset = reader.nextOffset;
    }
  }

  private async fetch(partition: number, fetchOffset: number): Promise<FetchedPartition> {
    const { client, topic } = this.options;
    const leader = this.leaders[partition] ?? -1;
    const wanted = { topicId: this.topicId, partition, fetchOffset, bytesMax: FETCH_BYTES };
    const answer = await client.fetch(leader, [wanted], {
      isolation: 'read_uncommitted',
      maxWaitMs: FETCH_WAIT_MS,
      bytesMax: FETCH_BYTES,
    });
    const [fetched] = answer.partitions;
    const errorCode = answer.errorCode === 0 ? (fetched?.errorCode ?? 0) : answer.errorCode;
    if (fetched !== undefined && errorCode === 0) return fetched;
    if (errorCode === OFFSET_OUT_OF_RANGE) throw this.cut(partition, fetchOffset);
    throw answerError('Fetch', errorCode, { broker: client.brokerName(leader), topic, partition });
  }

  /** Names the transaction that wrote what stands at the offset. */
  private async hanging(partition: number, offset: number): Promise<KafkaError> {
    const { topic, hangingMs } = this.options;
    const { recordSet } = await this.fetch(partition, offset);
    if (recordSet.length < FIELD.records) return this.cut(partition, offset);
    const producer =
      `producer id ${recordSet.readBigInt64BE(FIELD.producerId)}, ` +
      `epoch ${recordSet.readInt16BE(FIELD.producerEpoch)}`;
    return new KafkaError(
      'BROKER_REFUSED',
      `a hanging transaction (${producer}) holds back topic "${topic}" partition ${partition} at ` +
        `offset ${offset} for more than ${hangingMs} ms, so that nobody can know what is ` +
        'committed; look at it with "kafka-transactions.sh find-hanging", end it with its "abort"',
      { kafkaCode: 'HANGING_TRANSACTION', retriable: false },
    );
  }

  private cut(partition: number, offset: number): KafkaError {
    return new KafkaError(
      'BROKER_REFUSED',
      `topic "${this.topic}" partition ${partition} lacks offset ${offset}, which its brokers had ` +
        'acknowledged: the log was cut or emptied, so that nobody can know what is committed, and ' +
        'the last epoch may come twice; let no leader of this topic be elected uncleanly ' +
        '(unclean.leader.election.enable)',
      { kafkaCode: 'LOG_CUT', retriable: false },
    );
  }
}

function* recordsOf(
  { bytes, count, offsets, keyStarts, keyEnds, valueStarts, valueEnds }: RecordColumns,
  wanted: string,
): Generator<{ readonly value: Uint8Array; readonly at: number }> {
  for (let index = 0; index < count; index++) {
    if (bytes.toString('utf8', keyStarts[index], keyEnds[index]) !== wanted) continue;
    yield { value: bytes.subarray(valueStarts[index], valueEnds[index]), at: offsets[index] ?? 0 };
  }
}

async function checkPolicy(client: MarkerClient, topic: string): Promise<void> {
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
