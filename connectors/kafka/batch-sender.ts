/**
 * Sends finished batches to the leaders of their partitions: in the order of each partition, several
 * requests under way at a time, under one producer's identity. After a failure it is of no more use:
 * nothing is sent again by itself, because only its owner knows what that would mean.
 */
import type { KafkaClient } from './kafka-client.js';
import { answerError, KafkaError } from './kafka-error.js';
import type { TopicPartition } from './kafka-request.js';
import { isStampedBy, recordCountOf, stampBatch } from './record-batch-header.js';
import type { ProducerIdentity } from './transaction-requests.js';

export interface OutgoingBatch extends TopicPartition {
  readonly batch: Buffer;
}

export interface BatchSenderOptions {
  readonly client: Pick<KafkaClient, 'topics' | 'produce' | 'brokerName'>;
  /** Undefined: batches go as they are, and a broker can't tell one that comes twice. */
  readonly identity?: ProducerIdentity;
  readonly transactionalId?: string;
  readonly acks: -1 | 1;
  /** Where the sequences of this identity go on, by partition: another sender may go on after this one. */
  readonly sequences?: Map<string, number>;
}

interface Sending extends OutgoingBatch {
  readonly resolve: (baseOffset: number) => void;
  readonly reject: (failure: unknown) => void;
}

/** A partition with what waits to be sent. */
interface Lane extends TopicPartition {
  readonly leader: number;
  readonly waiting: Sending[];
}

/** Brokers remember five batches of a producer in a partition. */
const IN_FLIGHT_MAX = 4;
/** Far below socket.request.max.bytes, 100 MB unless set. */
const REQUEST_BYTES_MAX = 4 * 1024 * 1024;
const PRODUCE_TIMEOUT_MS = 10_000;
const SEQUENCES = 2 ** 31;

export class BatchSender {
  readonly #options: BatchSenderOptions;
  readonly #sequences: Map<string, number>;
  readonly #topics = new Set<string>();
  readonly #leaders = new Map<string, number>();
  readonly #lanes = new Map<string, Lane>();
  /** Lanes that have something waiting, by leader. */
  readonly #ready = new Map<number, Lane[]>();
  /** Leaders to which what is given in this turn goes in one request, not each batch in its own. */
  readonly #gathering = new Set<number>();
  readonly #inFlight = new Map<number, number>();
  /** Leaders that have answered: until then one request is under way, so that none overtakes it. */
  readonly #answered = new Set<number>();
  #failure: { readonly error: unknown } | undefined;

  constructor(options: BatchSenderOptions) {
    this.#options = options;
    this.#sequences = options.sequences ?? new Map<string, number>();
  }

  /**
   * Finds the leaders of topics; to be called before anything is sent to them.
   * @throws MillraceError TOPIC_MISSING, ACCESS_DENIED, BROKER_UNREACHABLE
   */
  async learn(names: readonly string[]): Promise<void> {
    const unknown = [...new Set(names)].filter((name) => !this.#topics.has(name));
    if (unknown.length === 0) return;
    for (const { topic, partitions } of await this.#options.client.topics(unknown)) {
      this.#topics.add(topic);
      for (const { partition, leader } of partitions) {
        this.#leaders.set(laneName({ topic, partition }), leader);
      }
    }
  }

  /**
   * Resolves with the offset of its first record, once the brokers have it.
   * @throws MillraceError by the promise, all that are not answered alike
   */
  send(outgoing: OutgoingBatch): Promise<number> {
    return new Promise((resolve, reject) => {
      if (this.#failure !== undefined) throw this.#failure.error;
      const lane = this.#lane(outgoing);
      if (lane.waiting.length === 0) this.#readyAt(lane.leader).push(lane);
      lane.waiting.push({ ...outgoing, resolve, reject });
      this.#gather(lane.leader);
    });
  }

  #gather(leader: number): void {
    if (this.#gathering.has(leader)) return;
    this.#gathering.add(leader);
    queueMicrotask(() => {
      this.#gathering.delete(leader);
      this.#pump(leader);
    });
  }

  #lane({ topic, partition }: TopicPartition): Lane {
    const name = laneName({ topic, partition });
    const known = this.#lanes.get(name);
    if (known !== undefined) return known;
    const leader = this.#leaders.get(name) ?? -1;
    if (leader < 0) {
      throw new KafkaError(
        'BROKER_UNREACHABLE',
        `topic "${topic}" partition ${partition} has no leader at present; start the broker that ` +
          'holds it',
        { kafkaCode: 'LEADER_NOT_AVAILABLE', retriable: true },
      );
    }
    const lane = { topic, partition, leader, waiting: [] };
    this.#lanes.set(name, lane);
    return lane;
  }

  #readyAt(leader: number): Lane[] {
    const known = this.#ready.get(leader);
    if (known !== undefined) return known;
    const ready: Lane[] = [];
    this.#ready.set(leader, ready);
    return ready;
  }

  #pump(leader: number): void {
    const ready = this.#readyAt(leader);
    for (;;) {
      const inFlight = this.#inFlight.get(leader) ?? 0;
      const inFlightMax = this.#answered.has(leader) ? IN_FLIGHT_MAX : 1;
      if (this.#failure !== undefined || ready.length === 0 || inFlight >= inFlightMax) return;
      this.#inFlight.set(leader, inFlight + 1);
      void this.#request(leader, this.#take(ready));
    }
  }

  /** What the next request carries: of each partition one batch at most, as brokers want it. */
  #take(ready: Lane[]): Sending[] {
    const taken: Sending[] = [];
    let bytes = 0;
    for (let lanes = ready.length; lanes > 0; lanes--) {
      const [lane] = ready;
      const [sending] = lane?.waiting ?? [];
      if (lane === undefined || sending === undefined) break;
      if (taken.length > 0 && bytes + sending.batch.length > REQUEST_BYTES_MAX) break;
      bytes += sending.batch.length;
      taken.push(sending);
      ready.shift();
      lane.waiting.shift();
      // Behind the others: all get their turn.
      if (lane.waiting.length > 0) ready.push(lane);
      this.#stamp(sending);
    }
    return taken;
  }

  /** A batch that bears this identity is sent again, as which brokers have to know it. */
  #stamp(sending: Sending): void {
    const { identity, transactionalId } = this.#options;
    if (identity === undefined || isStampedBy(sending.batch, identity)) return;
    const name = laneName(sending);
    const baseSequence = this.#sequences.get(name) ?? 0;
    const transactional = transactionalId !== undefined;
    stampBatch(sending.batch, { ...identity, baseSequence, transactional });
    this.#sequences.set(name, (baseSequence + recordCountOf(sending.batch)) % SEQUENCES);
  }

  async #request(leader: number, sendings: readonly Sending[]): Promise<void> {
    const { client, transactionalId, acks } = this.#options;
    const partitions = sendings.map(({ topic, partition, batch }) => ({
      topic,
      partition,
      recordSet: batch,
    }));
    try {
      const answers = await client.produce(leader, partitions, {
        ...(transactionalId === undefined ? {} : { transactionalId }),
        acks,
        timeoutMs: PRODUCE_TIMEOUT_MS,
      });
      const offsets = new Map<string, number>();
      for (const { topic, partition, errorCode, errorMessage, baseOffset } of answers) {
        const place = { broker: client.brokerName(leader), topic, partition };
        if (errorCode !== 0) throw answerError('Produce', errorCode, place, errorMessage);
        offsets.set(laneName({ topic, partition }), baseOffset);
      }
      for (const sending of sendings) sending.resolve(offsets.get(laneName(sending)) ?? -1);
      this.#answered.add(leader);
    } catch (error) {
      this.#fail(error, sendings);
    }
    this.#inFlight.set(leader, (this.#inFlight.get(leader) ?? 1) - 1);
    this.#pump(leader);
  }

  #fail(error: unknown, sendings: readonly Sending[]): void {
    this.#failure ??= { error };
    const waiting = [...this.#lanes.values()].flatMap((lane) => lane.waiting.splice(0));
    // Those of other requests say by themselves what became of them.
    for (const { reject } of [...sendings, ...waiting]) reject(this.#failure.error);
  }
}

function laneName({ topic, partition }: TopicPartition): string {
  return `${topic}-${partition}`;
}
