/**
 * Keeps a reader's partitions filled: one fetch at a time from every broker that leads some of them, of
 * those that have room (cluster -> record fetcher -> partition reader). A leader that moved or a broker
 * that restarts is waited for; a position that is lost is a failure, or follows the policy that was named.
 */
import type { Counter } from '../../api/metrics.js';
import type { SourceContext } from '../../api/source.js';
import type { FetchAnswer, FetchedPartition } from './fetch-request.js';
import type { KafkaClient } from './kafka-client.js';
import { answerError, isRetriable } from './kafka-error.js';
import {
  logDiverged,
  offsetOutOfRange,
  topicDeleted,
  topicRecreated,
  type OutOfRangePolicy,
} from './lost-position.js';
import type { ClusterMetadata, TopicMetadata } from './metadata-request.js';
import { EARLIEST, LATEST } from './offset-requests.js';
import type { PartitionReader } from './partition-reader.js';
import type { IsolationLevel } from './record-set-reader.js';

export interface RecordFetcherOptions {
  readonly client: Pick<KafkaClient, 'metadata' | 'listOffset' | 'fetch' | 'brokerName'>;
  readonly clock: SourceContext['clock'];
  readonly isolation: IsolationLevel;
  readonly onOutOfRange: OutOfRangePolicy;
  /** Of all partitions together: fetched and not yet handed out, or on their way. */
  readonly bufferedBytesMax: number;
  /** Of record sets, as they come. */
  readonly bytesIn: Counter;
  /** Partitions may have become ready. */
  readonly onProgress: () => void;
  readonly onFailure: (error: unknown) => void;
}

interface Assignment {
  readonly reader: PartitionReader<unknown>;
  /** Node id; undefined: to be found. */
  leader: number | undefined;
  /** Monotonic time of the first failure since the last success. */
  lostSinceMs: number | undefined;
  /** Where it goes on is being found out. */
  moving: boolean;
}

const MAX_WAIT_MS = 500;
/** While others wait for room: they must not wait for those that have nothing to give. */
const SHORT_WAIT_MS = 10;
const ANSWER_BYTES_MAX = 8 * 1024 * 1024;
const LOCATE_DELAY_MS = 100;
/** A broker's restart and the election of another leader take less. */
const PATIENCE_MS = 30_000;
/** A topic that is not there for so long was deleted. */
const MISSING_PATIENCE_MS = 3_000;
const OFFSET_OUT_OF_RANGE = 1;
const UNKNOWN_TOPIC_OR_PARTITION = 3;

export class RecordFetcher {
  readonly #options: RecordFetcherOptions;
  readonly #assignments = new Map<string, Assignment>();
  /** Nodes that are being fetched from. */
  readonly #nodes = new Set<number>();
  readonly #waiting = new Set<() => void>();
  readonly #timers = new Set<() => void>();
  #onTheWayBytes = 0;
  #turn = 0;
  #locating = false;
  #closed = false;

  constructor(options: RecordFetcherOptions) {
    this.#options = options;
  }

  add(readers: readonly PartitionReader<unknown>[]): void {
    for (const reader of readers) {
      const { topicId, partition } = reader.split;
      const assignment = { reader, leader: undefined, lostSinceMs: undefined, moving: false };
      this.#assignments.set(keyOf(topicId, partition), assignment);
    }
    this.#start(this.#locate());
  }

  /** Something was handed out: there may be room. */
  wake(): void {
    for (const resume of this.#waiting) resume();
    this.#waiting.clear();
  }

  /** What is on its way is dropped. */
  close(): void {
    this.#closed = true;
    for (const cancel of this.#timers) cancel();
    this.#timers.clear();
    this.wake();
  }

  #start(work: Promise<void>): void {
    work.catch((error: unknown) => this.#fail(error));
  }

  #fail(error: unknown): void {
    if (!this.#closed) this.#options.onFailure(error);
  }

  get #unfinished(): readonly Assignment[] {
    return [...this.#assignments.values()].filter(({ reader }) => !reader.isFinished);
  }

  /** Finds the leaders of partitions that have none, and fetches from them. */
  async #locate(): Promise<void> {
    if (this.#locating) return;
    this.#locating = true;
    try {
      for (;;) {
        const lost = this.#unfinished.filter(
          ({ leader, moving }) => leader === undefined && !moving,
        );
        if (lost.length === 0 || this.#closed) return;
        await this.#find(lost);
        for (const { leader } of lost) if (leader !== undefined) this.#fetchFrom(leader);
        if (lost.some(({ leader }) => leader === undefined)) await this.#pause(LOCATE_DELAY_MS);
      }
    } finally {
      this.#locating = false;
    }
  }

  async #find(lost: readonly Assignment[]): Promise<void> {
    const { client, clock } = this.#options;
    const topics = [...new Set(lost.map(({ reader }) => reader.split.topic))];
    const askedAtMs = clock.monotonic();
    let metadata: ClusterMetadata;
    try {
      metadata = await client.metadata(topics);
    } catch (error) {
      if (!isRetriable(error)) throw error;
      // The client has tried for a while; that is not yet how long a broker may be away.
      for (const one of lost) {
        one.lostSinceMs ??= askedAtMs;
        this.#lose(one, error);
      }
      return;
    }
    const found = new Map(metadata.topics.map((topic) => [topic.topic, topic]));
    for (const one of lost) this.#assign(one, found.get(one.reader.split.topic));
  }

  #assign(assignment: Assignment, topic: TopicMetadata | undefined): void {
    const { split } = assignment.reader;
    const errorCode = topic?.errorCode ?? UNKNOWN_TOPIC_OR_PARTITION;
    if (errorCode === UNKNOWN_TOPIC_OR_PARTITION) {
      this.#lose(assignment, topicDeleted(split), MISSING_PATIENCE_MS);
    } else if (topic === undefined || errorCode !== 0) {
      const error = answerError('Metadata', errorCode, { broker: 'of the cluster', ...split });
      if (!error.retriable) throw error;
      this.#lose(assignment, error);
    } else if (topic.topicId !== split.topicId) {
      throw topicRecreated(split);
    } else {
      const found = topic.partitions.find(({ partition }) => partition === split.partition);
      if (found !== undefined && found.leader >= 0) {
        assignment.leader = found.leader;
        return;
      }
      const place = { broker: 'of the cluster', ...split };
      this.#lose(assignment, answerError('Metadata', found?.errorCode ?? errorCode, place));
    }
  }

  /** Its leader has to be found again. @throws the reason, once that has gone on for too long */
  #lose(assignment: Assignment, reason: unknown, patienceMs = PATIENCE_MS): void {
    const nowMs = this.#options.clock.monotonic();
    assignment.leader = undefined;
    assignment.lostSinceMs ??= nowMs;
    if (nowMs - assignment.lostSinceMs > patienceMs) throw reason;
  }

  #fetchFrom(node: number): void {
    if (this.#nodes.has(node)) return this.wake();
    this.#nodes.add(node);
    this.#start(this.#loop(node));
  }

  async #loop(node: number): Promise<void> {
    while (!this.#closed) {
      const led = this.#unfinished.filter(({ leader }) => leader === node);
      if (led.length === 0) {
        this.#nodes.delete(node);
        return;
      }
      const wanting = led.filter(({ reader }) => reader.wantsFetch);
      const bytesMax = Math.min(this.#room(), this.#share());
      if (wanting.length === 0 || bytesMax <= 0) {
        await new Promise<void>((resolve) => this.#waiting.add(resolve));
        continue;
      }
      const isAlone = wanting.length === led.length;
      await this.#fetchOnce(node, led, wanting, bytesMax, isAlone ? MAX_WAIT_MS : SHORT_WAIT_MS);
    }
  }

  async #fetchOnce(
    node: number,
    led: readonly Assignment[],
    wanting: readonly Assignment[],
    bytesMax: number,
    maxWaitMs: number,
  ): Promise<void> {
    const { client, isolation, onProgress } = this.#options;
    const request = rotated(wanting, this.#turn++).map(({ reader }) => {
      const { topicId, partition } = reader.split;
      return { topicId, partition, ...reader.fetch };
    });
    this.#onTheWayBytes += bytesMax;
    try {
      const answer = await client.fetch(node, request, { isolation, maxWaitMs, bytesMax });
      if (this.#closed) return;
      if (answer.errorCode !== 0) {
        throw answerError('Fetch', answer.errorCode, { broker: client.brokerName(node) });
      }
      const left = afterAll(answer);
      for (const fetched of answer.partitions) this.#take(node, fetched, left);
      onProgress();
    } catch (error) {
      if (this.#closed) return;
      if (!isRetriable(error)) throw error;
      for (const one of led) this.#lose(one, error);
      this.#locateSoon();
    } finally {
      this.#onTheWayBytes -= bytesMax;
      this.wake();
    }
  }

  #take(node: number, fetched: FetchedPartition, left: () => void): void {
    const assignment = this.#assignments.get(keyOf(fetched.topicId, fetched.partition));
    // One that moved while the answer was on its way is asked for elsewhere.
    if (assignment === undefined || assignment.leader !== node) return;
    const { errorCode, divergedAt } = fetched;
    if (errorCode === OFFSET_OUT_OF_RANGE || divergedAt !== undefined) {
      assignment.leader = undefined;
      assignment.moving = true;
      this.#start(this.#leaveRange(assignment, divergedAt));
    } else if (errorCode === 0) {
      assignment.lostSinceMs = undefined;
      this.#options.bytesIn.inc(fetched.recordSet.length);
      assignment.reader.offer(fetched, left);
    } else {
      const { topic, partition } = assignment.reader.split;
      const broker = this.#options.client.brokerName(node);
      const error = answerError('Fetch', errorCode, { broker, topic, partition });
      if (!error.retriable) throw error;
      this.#lose(assignment, error);
      this.#locateSoon();
    }
  }

  /** The log does not have the offset that comes next, or not after the records that were read. */
  async #leaveRange(assignment: Assignment, divergedAt: number | undefined): Promise<void> {
    const askedAtMs = this.#options.clock.monotonic();
    try {
      await this.#settleRange(assignment, divergedAt);
    } catch (error) {
      if (!isRetriable(error)) throw error;
      assignment.lostSinceMs ??= askedAtMs;
      this.#lose(assignment, error);
    }
    assignment.moving = false;
    this.#locateSoon();
  }

  /** @throws what the position is lost by, unless a policy says where it goes on */
  async #settleRange(assignment: Assignment, divergedAt: number | undefined): Promise<void> {
    const { client, onOutOfRange } = this.#options;
    const { fetchOffset, leaderEpoch } = assignment.reader.fetch;
    const split = {
      ...assignment.reader.split,
      offset: fetchOffset,
      ...(leaderEpoch === undefined ? {} : { leaderEpoch }),
    };
    const { topic, partition } = split;
    const [found] = (await client.metadata([topic])).topics;
    if (found !== undefined && found.errorCode === 0 && found.topicId !== split.topicId) {
      throw topicRecreated(split);
    }
    const [earliest, latest] = await Promise.all([
      client.listOffset({ topic, partition, timestamp: EARLIEST }, 'read_uncommitted'),
      client.listOffset({ topic, partition, timestamp: LATEST }, 'read_uncommitted'),
    ]);
    const error =
      divergedAt === undefined || fetchOffset > latest
        ? offsetOutOfRange(split, earliest, latest)
        : logDiverged(split, divergedAt);
    if (divergedAt === undefined && fetchOffset >= earliest && fetchOffset <= latest) {
      // A new leader may not know its own end yet.
      this.#lose(assignment, error);
    } else if (onOutOfRange === 'fail') {
      throw error;
    } else {
      assignment.reader.continueAt(onOutOfRange === 'earliest' ? earliest : latest);
      this.#options.onProgress();
    }
  }

  #locateSoon(): void {
    this.#start(this.#pause(LOCATE_DELAY_MS).then(() => this.#locate()));
  }

  #pause(delayMs: number): Promise<void> {
    return new Promise((resolve) => {
      if (this.#closed) return resolve();
      const cancel = this.#options.clock.setTimer(delayMs, () => {
        this.#timers.delete(cancel);
        resolve();
      });
      this.#timers.add(cancel);
    });
  }

  /** Of one answer: brokers that have nothing to give must not keep others from being asked. */
  #share(): number {
    const leaders = new Set(this.#unfinished.map(({ leader }) => leader));
    return Math.min(ANSWER_BYTES_MAX, Math.floor(this.#options.bufferedBytesMax / leaders.size));
  }

  #room(): number {
    let taken = this.#onTheWayBytes;
    for (const { reader } of this.#assignments.values()) taken += reader.bufferedBytes;
    return this.#options.bufferedBytesMax - taken;
  }
}

function keyOf(topicId: string, partition: number): string {
  return `${topicId}-${partition}`;
}

/** Gives an answer's memory back when each of its record sets was left; until then, or else, it is collected. */
function afterAll({ partitions, giveBack }: FetchAnswer): () => void {
  let read = partitions.filter(({ recordSet }) => recordSet.length > 0).length;
  return () => {
    if (--read === 0) giveBack();
  };
}

/** Whoever is asked for first is served first, and large answers leave the others without. */
function rotated<T>(values: readonly T[], turn: number): readonly T[] {
  const first = turn % values.length;
  return [...values.slice(first), ...values.slice(0, first)];
}
