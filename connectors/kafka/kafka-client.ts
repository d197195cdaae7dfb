/**
 * What readers and writers ask of a Kafka cluster, each request sent to the broker that must answer it.
 * Requests that may be repeated are, while a broker restarts or a leader moves; fetch, produce and the
 * end of a transaction go out once, because only their caller knows what a lost answer means. No
 * request ever creates a topic by the way.
 */
import type { Clock } from '../../core/clock.js';
import {
  createTopicsRequest,
  describeBrokerRequest,
  describeTopicsRequest,
  type NewTopic,
  type TopicConfig,
} from './admin-requests.js';
import type { BrokerConnection } from './broker-connection.js';
import { BrokerPool, type ConnectionUse } from './broker-pool.js';
import {
  fetchRequest,
  type FetchAnswer,
  type FetchOptions,
  type FetchPartition,
} from './fetch-request.js';
import { describeProducersRequest, type PartitionProducers } from './describe-producers-request.js';
import type { KafkaConnectionOptions } from './kafka-connection.js';
import { answerError, hasKafkaCode, KafkaError, type KafkaPlace } from './kafka-error.js';
import { groupBy, type KafkaRequest, type TopicPartition } from './kafka-request.js';
import { metadataRequest, type ClusterMetadata, type TopicMetadata } from './metadata-request.js';
import {
  listOffsetsRequest,
  offsetCommitRequest,
  offsetFetchRequest,
  type ListOffsetsEntry,
  type PartitionOffset,
} from './offset-requests.js';
import { withPatience } from './patience.js';
import {
  produceRequest,
  type ProducedPartition,
  type ProduceOptions,
  type ProducePartition,
} from './produce-request.js';
import type { IsolationLevel } from './record-set-reader.js';
import {
  addPartitionsToTxnRequest,
  endTxnRequest,
  findCoordinatorRequest,
  initProducerIdRequest,
  type ProducerIdentity,
} from './transaction-requests.js';

export interface KafkaClientOptions {
  readonly connection: KafkaConnectionOptions;
  readonly clock: Pick<Clock, 'monotonic'>;
  /** How long to try again what may pass, ms; 15,000 by default: a broker's restart takes less. */
  readonly patienceMs?: number;
}

const PATIENCE_MS_DEFAULT = 15_000;
const FIRST_DELAY_MS = 50;
/** A transaction that follows another waits for the other's markers, which takes a few ms. */
const TRANSACTION_DELAY_MS = 5;
/** The request may have arrived, though no answer did. */
const OUTCOME_UNKNOWN = ['CONNECTION_FAILED', 'REQUEST_TIMEOUT', 'GREETING_REFUSED'];
const ADMIN_TIMEOUT_MS = 15_000;

/** Names a coordinator: of a group, or of a transactional id. */
type Coordinated = { readonly group: string } | { readonly transactionalId: string };

export class KafkaClient {
  readonly #pool: BrokerPool;
  readonly #clock: Pick<Clock, 'monotonic'>;
  readonly #patienceMs: number;
  /** Node ids by kind and key. */
  readonly #coordinators = new Map<string, number>();

  /** Connects when it is first asked for something. */
  constructor({ connection, clock, patienceMs = PATIENCE_MS_DEFAULT }: KafkaClientOptions) {
    this.#pool = new BrokerPool(connection);
    this.#clock = clock;
    this.#patienceMs = patienceMs;
  }

  /** `host:port` of a node, for messages. */
  brokerName(nodeId: number): string {
    return this.#pool.nameOf(nodeId);
  }

  /** @param topics undefined: all. Each comes with its error, if any; and with what the user may do, if asked. */
  metadata(topics?: readonly string[], withOperations = false): Promise<ClusterMetadata> {
    return this.#patiently(() => this.#metadata(topics, withOperations));
  }

  /**
   * Topics that all exist and may be seen, in the order of `names`.
   * @throws MillraceError TOPIC_MISSING, ACCESS_DENIED naming the topic
   */
  topics(names: readonly string[]): Promise<readonly TopicMetadata[]> {
    return this.#patiently(() => this.#topics(names));
  }

  /**
   * Offsets by time, EARLIEST or LATEST; -1: no record of that time or later. With read_committed,
   * LATEST is the last stable offset. A partition may come once.
   * @throws MillraceError naming the partition
   */
  listOffsets(
    entries: readonly ListOffsetsEntry[],
    isolation: IsolationLevel,
  ): Promise<readonly PartitionOffset[]> {
    return this.#patiently(() =>
      this.#fromLeaders(entries, (group) => listOffsetsRequest(group, isolation)),
    );
  }

  /**
   * Who writes to partitions, and has a transaction open there.
   * @throws MillraceError ACCESS_DENIED for who may not read them
   */
  describeProducers(partitions: readonly TopicPartition[]): Promise<readonly PartitionProducers[]> {
    return this.#patiently(() => this.#fromLeaders(partitions, describeProducersRequest));
  }

  /** As `listOffsets`, of one partition. */
  async listOffset(entry: ListOffsetsEntry, isolation: IsolationLevel): Promise<number> {
    const [found] = await this.listOffsets([entry], isolation);
    return found?.offset ?? -1;
  }

  /** From the node that leads the partitions, once. Errors stand in the answer. */
  fetch(
    nodeId: number,
    partitions: readonly FetchPartition[],
    options: FetchOptions,
  ): Promise<FetchAnswer> {
    return this.#send(nodeId, fetchRequest(partitions, options), 'fetch');
  }

  /** To the node that leads the partitions, once. Errors stand in the answer. */
  produce(
    nodeId: number,
    partitions: readonly ProducePartition[],
    options: ProduceOptions,
  ): Promise<readonly ProducedPartition[]> {
    return this.#send(nodeId, produceRequest(partitions, options), 'produce');
  }

  /**
   * A producer's identity. With a transactional id it fences whoever used the id before, and what they
   * left open is aborted when it returns.
   * @param current who has the id: nobody is fenced who took it since, but this producer is refused
   * @throws MillraceError ACCESS_DENIED, BROKER_REFUSED naming the transactional id
   */
  initProducerId(
    transactionalId: string | null,
    transactionTimeoutMs: number,
    current?: ProducerIdentity,
  ): Promise<ProducerIdentity> {
    const request = initProducerIdRequest(transactionalId, transactionTimeoutMs, current);
    return this.#patiently(async () => {
      if (transactionalId !== null) {
        const answer = await this.#coordinate(
          { transactionalId },
          request,
          ({ errorCode }) => errorCode,
        );
        return { producerId: answer.producerId, producerEpoch: answer.producerEpoch };
      }
      const connection = await this.#pool.toAny();
      const { errorCode, ...identity } = await connection.send(request);
      if (errorCode === 0) return identity;
      throw answerError(request.apiName, errorCode, { broker: connection.broker });
    }, TRANSACTION_DELAY_MS);
  }

  /** @throws MillraceError naming the partition or the transactional id */
  async addPartitionsToTxn(
    transactionalId: string,
    identity: ProducerIdentity,
    partitions: readonly TopicPartition[],
  ): Promise<void> {
    const request = addPartitionsToTxnRequest(transactionalId, identity, partitions);
    await this.#patiently(
      () => this.#coordinate({ transactionalId }, request, firstError),
      TRANSACTION_DELAY_MS,
    );
  }

  /**
   * Ends a transaction. What the broker says to be passing is tried again; when no answer came, the
   * outcome is not known, and it is not.
   * @throws KafkaError with kafkaCode CONNECTION_FAILED or REQUEST_TIMEOUT: the outcome is not known
   */
  async endTxn(
    transactionalId: string,
    identity: ProducerIdentity,
    outcome: 'commit' | 'abort',
  ): Promise<void> {
    const request = endTxnRequest(transactionalId, identity, outcome);
    await this.#patiently(async () => {
      try {
        await this.#coordinate({ transactionalId }, request, ({ errorCode }) => errorCode);
      } catch (error) {
        if (!hasKafkaCode(error, ...OUTCOME_UNKNOWN)) throw error;
        const { code, message, kafkaCode } = error;
        throw new KafkaError(code, message, { kafkaCode, retriable: false, cause: error });
      }
    }, TRANSACTION_DELAY_MS);
  }

  /** Whether the id may be used, as far as its coordinator's name tells. @throws MillraceError ACCESS_DENIED naming it */
  async findTransaction(transactionalId: string): Promise<void> {
    await this.#patiently(() => this.#findCoordinator({ transactionalId }));
  }

  /**
   * Tells a group's coordinator of positions, for people who watch the group.
   * @throws MillraceError ACCESS_DENIED, BROKER_REFUSED (such as a group that has members) naming the group
   */
  async offsetCommit(group: string, offsets: readonly PartitionOffset[]): Promise<void> {
    const request = offsetCommitRequest(group, offsets);
    await this.#patiently(() => this.#coordinate({ group }, request, firstError));
  }

  /** What a group has committed; -1: nothing. @throws MillraceError ACCESS_DENIED naming the group */
  offsetFetch(
    group: string,
    partitions: readonly TopicPartition[],
  ): Promise<readonly PartitionOffset[]> {
    const request = offsetFetchRequest(group, partitions);
    return this.#patiently(async () => {
      const { offsets } = await this.#coordinate({ group }, request, (answer) =>
        answer.errorCode === 0 ? firstError(answer.offsets) : answer.errorCode,
      );
      return offsets;
    });
  }

  /** Makes topics; those that exist stay as they are. @throws MillraceError naming the topic */
  async createTopics(topics: readonly NewTopic[]): Promise<void> {
    await this.#patiently(async () => {
      const { controller } = await this.#metadata([]);
      const answers = await this.#send(controller, createTopicsRequest(topics, ADMIN_TIMEOUT_MS));
      for (const { topic, errorCode, errorMessage } of answers) {
        if (errorCode === 0 || errorCode === TOPIC_ALREADY_EXISTS) continue;
        const place = { broker: this.brokerName(controller), topic };
        throw answerError('CreateTopics', errorCode, place, errorMessage);
      }
    });
  }

  /** Settings of topics by their names. @throws MillraceError naming the topic */
  describeConfigs(
    topics: readonly string[],
    names: readonly string[],
  ): Promise<readonly TopicConfig[]> {
    const request = describeTopicsRequest(topics, names);
    return this.#patiently(async () => {
      const connection = await this.#pool.toAny();
      const answers = await connection.send(request);
      return answers.map(({ name: topic, errorCode, errorMessage, config }) => {
        if (errorCode === 0) return { topic, config };
        const place = { broker: connection.broker, topic };
        throw answerError(request.apiName, errorCode, place, errorMessage);
      });
    });
  }

  /** One setting as each broker has it. @throws MillraceError ACCESS_DENIED naming the broker */
  describeBrokers(name: string): Promise<readonly (string | null | undefined)[]> {
    return this.#patiently(async () => {
      const { brokers } = await this.#metadata([]);
      return Promise.all(
        brokers.map(async ({ id }) => {
          const request = describeBrokerRequest(id, [name]);
          const [answer] = await this.#send(id, request);
          const { errorCode = 0, errorMessage, config } = answer ?? {};
          if (errorCode === 0) return config?.[name];
          const place = { broker: this.brokerName(id) };
          throw answerError(request.apiName, errorCode, place, errorMessage);
        }),
      );
    });
  }

  /** Requests that wait for an answer fail with CANCELED or BROKER_UNREACHABLE. */
  close(): void {
    this.#pool.close();
  }

  #patiently<T>(attempt: () => Promise<T>, firstDelayMs = FIRST_DELAY_MS): Promise<T> {
    const options = { clock: this.#clock, patienceMs: this.#patienceMs, firstDelayMs };
    return withPatience(options, attempt);
  }

  async #metadata(topics?: readonly string[], withOperations = false): Promise<ClusterMetadata> {
    const connection = await this.#pool.toAny();
    const metadata = await connection.send(metadataRequest(topics, withOperations));
    this.#pool.learn(metadata.brokers);
    return metadata;
  }

  async #topics(names: readonly string[]): Promise<readonly TopicMetadata[]> {
    const connection = await this.#pool.toAny();
    const metadata = await connection.send(metadataRequest(names));
    this.#pool.learn(metadata.brokers);
    const found = new Map(metadata.topics.map((topic) => [topic.topic, topic]));
    return names.map((name) => {
      const topic = found.get(name);
      const errorCode = topic?.errorCode ?? UNKNOWN_TOPIC_OR_PARTITION;
      if (topic !== undefined && errorCode === 0) return topic;
      throw answerError('Metadata', errorCode, { broker: connection.broker, topic: name });
    });
  }

  /** Asks the leader of each partition. */
  async #fromLeaders<E extends TopicPartition, A extends TopicPartition & { errorCode: number }>(
    entries: readonly E[],
    requestFor: (entries: readonly E[]) => KafkaRequest<readonly A[]>,
  ): Promise<readonly A[]> {
    const names = [...new Set(entries.map(({ topic }) => topic))];
    const leaders = new Map<string, number>();
    for (const { topic, partitions } of await this.#topics(names)) {
      for (const { partition, leader } of partitions) {
        leaders.set(`${topic}-${String(partition)}`, leader);
      }
    }
    const byLeader = groupBy(
      entries,
      ({ topic, partition }) => leaders.get(`${topic}-${String(partition)}`) ?? -1,
    );
    const answers = await Promise.all(
      [...byLeader].map(async ([leader, group]) => {
        const [first] = group;
        if (leader < 0 && first !== undefined) throw this.#noLeader(first);
        const request = requestFor(group);
        const answer = await this.#send(leader, request);
        this.#checkEach(request.apiName, leader, answer);
        return answer;
      }),
    );
    return answers.flat();
  }

  async #send<T>(
    nodeId: number,
    request: KafkaRequest<T>,
    use: ConnectionUse = 'control',
  ): Promise<T> {
    const connection = await this.#toNode(nodeId, use);
    return connection.send(request);
  }

  async #toNode(nodeId: number, use: ConnectionUse): Promise<BrokerConnection> {
    const known = await this.#pool.toNode(nodeId, use);
    if (known !== undefined) return known;
    await this.#metadata([]);
    const learned = await this.#pool.toNode(nodeId, use);
    if (learned !== undefined) return learned;
    throw new KafkaError(
      'BROKER_UNREACHABLE',
      `the Kafka cluster has no broker ${String(nodeId)} at present; start the one that is missing`,
      { kafkaCode: 'BROKER_NOT_AVAILABLE', retriable: true },
    );
  }

  /** One try at a coordinator; one that is no longer it is forgotten. */
  async #coordinate<T>(
    coordinated: Coordinated,
    request: KafkaRequest<T>,
    errorOf: (answer: T) => number | (TopicPartition & { readonly errorCode: number }),
  ): Promise<T> {
    const nodeId = await this.#findCoordinator(coordinated);
    try {
      const answer = await this.#send(nodeId, request);
      const error = errorOf(answer);
      const errorCode = typeof error === 'number' ? error : error.errorCode;
      if (errorCode === 0) return answer;
      const place: KafkaPlace = { broker: this.brokerName(nodeId), ...coordinated };
      const partition = typeof error === 'number' ? {} : error;
      throw answerError(request.apiName, errorCode, { ...place, ...partition });
    } catch (error) {
      if (!hasKafkaCode(error, 'CONCURRENT_TRANSACTIONS')) {
        this.#coordinators.delete(coordinatorKey(coordinated));
      }
      throw error;
    }
  }

  async #findCoordinator(coordinated: Coordinated): Promise<number> {
    const key = coordinatorKey(coordinated);
    const known = this.#coordinators.get(key);
    if (known !== undefined) return known;
    const connection = await this.#pool.toAny();
    const request =
      'group' in coordinated
        ? findCoordinatorRequest('group', coordinated.group)
        : findCoordinatorRequest('transaction', coordinated.transactionalId);
    const answer = await connection.send(request);
    if (answer.errorCode !== 0) {
      const place = { broker: connection.broker, ...coordinated };
      throw answerError(request.apiName, answer.errorCode, place, answer.errorMessage);
    }
    const { nodeId, host, port } = answer;
    this.#pool.learn([{ id: nodeId, host, port }]);
    this.#coordinators.set(key, nodeId);
    return nodeId;
  }

  #checkEach(
    apiName: string,
    nodeId: number,
    answers: readonly (TopicPartition & { readonly errorCode: number })[],
  ): void {
    for (const { topic, partition, errorCode } of answers) {
      if (errorCode === 0) continue;
      throw answerError(apiName, errorCode, { broker: this.brokerName(nodeId), topic, partition });
    }
  }

  #noLeader({ topic, partition }: TopicPartition): KafkaError {
    return new KafkaError(
      'BROKER_UNREACHABLE',
      `topic "${topic}" partition ${String(partition)} has no leader at present; start the broker ` +
        'that holds it',
      { kafkaCode: 'LEADER_NOT_AVAILABLE', retriable: true },
    );
  }
}

const UNKNOWN_TOPIC_OR_PARTITION = 3;
const TOPIC_ALREADY_EXISTS = 36;

function coordinatorKey(coordinated: Coordinated): string {
  return 'group' in coordinated
    ? `group ${coordinated.group}`
    : `transaction ${coordinated.transactionalId}`;
}

function firstError<T extends TopicPartition & { readonly errorCode: number }>(
  answers: readonly T[],
): 0 | T {
  // Those that were not tried say less than the one because of which they were not.
  const failed = answers.filter(({ errorCode }) => errorCode !== 0);
  return failed.find(({ errorCode }) => errorCode !== OPERATION_NOT_ATTEMPTED) ?? failed[0] ?? 0;
}

const OPERATION_NOT_ATTEMPTED = 55;
