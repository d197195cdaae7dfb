/**
 * The committer of a Kafka sink's subtask: once a checkpoint is complete, one transaction writes all
 * epochs that are due and the marker that says so. After any failure the producer is dropped, its id
 * fenced again and the marker read, which alone says what is committed; an epoch must never be written
 * again because an answer is missing.
 */
import type { Counter } from '../../api/metrics.js';
import type { Committer, SinkContext } from '../../api/sink.js';
import { invariant, MillraceError } from '../../core/errors.js';
import type { KafkaClient } from './kafka-client.js';
import type { BatchCommittable } from './kafka-committable.js';
import { hasKafkaCode, isRetriable, KafkaError, TRANSACTION_OVER } from './kafka-error.js';
import { groupBy } from './kafka-request.js';
import { MarkerTopic } from './marker-topic.js';
import { withPatience } from './patience.js';
import { SentMetrics } from './sent-metrics.js';
import { markerPartitionOf, transactionalIdOf, type SinkMarker } from './sink-marker.js';
import { partitionsOf, TransactionSession } from './transaction-session.js';

export interface KafkaCommitterOptions {
  readonly context: SinkContext;
  readonly connect: () => KafkaClient;
  readonly transactionalIdPrefix: string;
  readonly markerTopic: string;
  readonly transactionTimeoutMs: number;
  /** How long it may take until a transaction that has ended is over in each of its partitions, ms. */
  readonly hangingMs: number;
  /** How long to go on after a failure that may pass, ms. */
  readonly patienceMs: number;
  /** Whether a first attempt takes its own id before there is anything to commit: it leaves more than that open. */
  readonly claimsAtStart?: boolean;
  /** Called before the id of a subtask is taken, with the attempt that had it. */
  readonly onClaim?: (left: LeftBehind) => Promise<void>;
}

/** An attempt of a subtask, which is over. */
export interface LeftBehind {
  readonly jobId: string;
  readonly subtask: number;
  readonly attempt: number;
}

/** An id with the partition of its markers. */
interface MarkedId {
  /** Whose output it is. */
  readonly jobId: string;
  readonly transactionalId: string;
  readonly markerPartition: number;
}

/** That of a subtask. */
interface SubtaskId extends MarkedId {
  readonly subtask: number;
}

/** A connection to the cluster with all that is open over it. */
interface Cluster {
  readonly client: KafkaClient;
  readonly markers: MarkerTopic;
  readonly sessions: Map<string, TransactionSession>;
}

const FIRST_DELAY_MS = 20;

/** What a new producer heals, or a coordinator that has come back. */
const HEALED_BY_A_NEW_PRODUCER = [
  'CONNECTION_FAILED',
  'REQUEST_TIMEOUT',
  ...TRANSACTION_OVER,
  'OUT_OF_ORDER_SEQUENCE_NUMBER',
  'DUPLICATE_SEQUENCE_NUMBER',
  'OPERATION_NOT_ATTEMPTED',
];

export class KafkaCommitter implements Committer<BatchCommittable> {
  readonly #options: KafkaCommitterOptions;
  readonly #sent: SentMetrics;
  readonly #transactions: Counter;
  #client: KafkaClient | undefined;
  #cluster: Promise<Cluster> | undefined;
  /** What this committer has written, or may have, by id: whatever else stands there is somebody else's. */
  readonly #written = new Map<string, readonly SinkMarker[]>();
  /** How far its own id had come when this committer took it. */
  #takenAt = -1;
  #closed = false;

  private constructor(options: KafkaCommitterOptions) {
    this.#options = options;
    const { metrics } = options.context;
    this.#sent = new SentMetrics(metrics);
    this.#transactions = metrics.counter('transactions_committed');
  }

  /**
   * Fences its own id, so that what is wrong with access, topic or broker is told before any record.
   * @throws MillraceError BROKER_UNREACHABLE, BROKER_REFUSED, ACCESS_DENIED, OUTPUT_CONFLICT
   */
  static async open(options: KafkaCommitterOptions): Promise<KafkaCommitter> {
    const committer = new KafkaCommitter(options);
    try {
      await committer.#persist(async () => {
        const own = await committer.#idOf(options.context.jobId, options.context.subtask);
        const { marker } = await committer.#session(own);
        const { attempt, restoredJobId } = options.context;
        const isFresh = attempt === 1 && restoredJobId === undefined;
        // Left by a job of the same id whose cluster is gone: checkpoints are counted from 1 again.
        if (isFresh && marker !== undefined) await committer.#claim(own, -1);
        else if (attempt === 1 && options.claimsAtStart === true) await committer.#claim(own);
      });
      return committer;
    } catch (error) {
      await committer.close();
      throw error;
    }
  }

  async commit(committables: readonly BatchCommittable[]): Promise<void> {
    const byId = groupBy(committables, ({ transactionalId }) => transactionalId);
    for (const epochs of byId.values()) {
      const [id] = epochs;
      if (id !== undefined) await this.#persist(() => this.#commit(id, epochs));
    }
  }

  /** @throws MillraceError STALE_EPOCH, OUTPUT_CONFLICT when somebody else goes on with this subtask's output */
  async checkOwner(): Promise<void> {
    const { jobId, subtask } = this.#options.context;
    this.#drop();
    await this.#persist(async () => {
      await this.#session(await this.#idOf(jobId, subtask));
    });
  }

  /** Fences and takes every id of earlier attempts that is this subtask's business now. */
  async recover(): Promise<void> {
    const { jobId, restoredJobId = jobId, subtask, parallelism } = this.#options.context;
    for (const job of new Set([restoredJobId, jobId])) {
      // What is beyond is known from the first marker.
      let beyond = subtask + 1;
      for (let earlier = subtask; earlier < beyond; earlier += parallelism) {
        beyond = await this.#persist(async () => {
          const id = await this.#idOf(job, earlier);
          const taken = await this.#claim(id);
          if (job === jobId && earlier === subtask) this.#takenAt = taken.checkpointId;
          return Math.max(beyond, taken.parallelism);
        });
      }
    }
  }

  close(): Promise<void> {
    this.#closed = true;
    this.#drop();
    return Promise.resolve();
  }

  async #commit(id: MarkedId, epochs: readonly BatchCommittable[]): Promise<void> {
    this.#check(epochs);
    const session = await this.#session(id);
    const committed = session.marker?.checkpointId ?? -1;
    const due = epochs.filter(({ checkpointId }) => checkpointId > committed);
    const done = epochs.filter(({ checkpointId }) => checkpointId <= committed);
    await session.untilEnded(partitionsOf(done));
    if (due.length === 0) return;
    const checkpointId = Math.max(...due.map((epoch) => epoch.checkpointId));
    await this.#write(id, session, due, checkpointId);
    this.#sent.add(due);
    this.#transactions.inc();
  }

  #check(epochs: readonly BatchCommittable[]): void {
    const { context, markerTopic } = this.#options;
    for (const epoch of epochs) {
      if (epoch.markerTopic !== markerTopic) {
        throw new MillraceError(
          'OUTPUT_CONFLICT',
          `the restored output has its markers in topic "${epoch.markerTopic}", and without them ` +
            `nobody knows what is committed; give the sink that markerTopic, not "${markerTopic}"`,
        );
      }
      const isOwn = epoch.jobId === context.jobId && epoch.attempt === context.attempt;
      // Else it would be left out as if it were there.
      invariant(!isOwn || epoch.checkpointId > this.#takenAt, 'checkpoint ids only ever grow');
    }
  }

  /** Makes an earlier attempt that still runs, or the job that this one goes on from, know that it is over. */
  async #claim(id: SubtaskId, checkpointId?: number): Promise<SinkMarker> {
    const { jobId, attempt } = this.#options.context;
    const session = await this.#session(id);
    const { marker } = session;
    const isOurs = marker?.jobId === jobId && marker.attempt === attempt;
    if (isOurs && this.#written.has(id.transactionalId)) return marker;
    // What another job left as this one's went with its claim.
    if (marker?.jobId === id.jobId)
      await this.#options.onClaim?.({
        jobId: id.jobId,
        subtask: id.subtask,
        attempt: marker.attempt,
      });
    return this.#write(id, session, [], checkpointId ?? marker?.checkpointId ?? -1);
  }

  async #write(
    { transactionalId }: MarkedId,
    session: TransactionSession,
    batches: readonly BatchCommittable[],
    checkpointId: number,
  ): Promise<SinkMarker> {
    const { jobId, attempt, parallelism } = this.#options.context;
    const { marker: before, producer } = session;
    const next: SinkMarker = {
      checkpointId,
      jobId,
      attempt,
      producer,
      parallelism: Math.max(parallelism, before?.parallelism ?? 0),
    };
    this.#written.set(transactionalId, before === undefined ? [next] : [before, next]);
    await session.commit(batches, next);
    this.#written.set(transactionalId, [next]);
    return next;
  }

  async #session(id: MarkedId): Promise<TransactionSession> {
    const { transactionalId, markerPartition } = id;
    const { client, markers, sessions } = await this.#connected();
    const existing = sessions.get(transactionalId);
    if (existing?.markerPartition === markerPartition) return existing;
    const { context, transactionTimeoutMs, hangingMs } = this.#options;
    const { clock } = context;
    const session = await TransactionSession.open({
      client,
      markers,
      clock,
      transactionalId,
      markerPartition,
      transactionTimeoutMs,
      hangingMs,
    });
    if (session.marker !== undefined) this.#checkOwner(id, session.marker);
    sessions.set(transactionalId, session);
    return session;
  }

  #checkOwner({ jobId: writer, transactionalId }: MarkedId, marker: SinkMarker): void {
    const { jobId, attempt } = this.#options.context;
    if (marker.jobId === jobId && marker.attempt > attempt) {
      throw new MillraceError(
        'STALE_EPOCH',
        `attempt ${marker.attempt} of job ${jobId} writes as "${transactionalId}" by now, attempt ` +
          `${attempt} is over; nothing has to be done`,
      );
    }
    // A job that restored another goes on with what the other left.
    const isTaken = marker.jobId !== jobId && writer === jobId;
    const written = this.#written.get(transactionalId);
    const isForeign = written !== undefined && !isAmong(marker, written);
    if (!isTaken && !isForeign) return;
    throw new MillraceError(
      'OUTPUT_CONFLICT',
      `job ${marker.jobId} writes as "${transactionalId}" as well, so that job ${jobId} can't go on; ` +
        'let only one of them run, or give them different transactionalIdPrefix',
    );
  }

  async #idOf(jobId: string, subtask: number): Promise<SubtaskId> {
    const { context, transactionalIdPrefix: prefix } = this.#options;
    const { markers } = await this.#connected();
    const identity = { prefix, jobId, operator: context.operator, subtask };
    return {
      jobId,
      subtask,
      transactionalId: transactionalIdOf(identity),
      markerPartition: markerPartitionOf(identity, markers.partitions),
    };
  }

  #connected(): Promise<Cluster> {
    if (this.#closed) throw new MillraceError('CANCELED', 'the sink was closed');
    this.#cluster ??= this.#connect();
    return this.#cluster;
  }

  async #connect(): Promise<Cluster> {
    const { connect, context, markerTopic: topic, hangingMs } = this.#options;
    const client = connect();
    this.#client = client;
    const markers = await MarkerTopic.open({ client, topic, clock: context.clock, hangingMs });
    return { client, markers, sessions: new Map() };
  }

  /** Drops all there is after a failure, and begins anew while that can help. */
  #persist<T>(attempt: () => Promise<T>): Promise<T> {
    const { context, patienceMs } = this.#options;
    const patience = { clock: context.clock, patienceMs, firstDelayMs: FIRST_DELAY_MS };
    return withPatience(patience, async () => {
      try {
        return await attempt();
      } catch (error) {
        this.#drop();
        throw this.#closed ? error : passing(error);
      }
    });
  }

  #drop(): void {
    this.#client?.close();
    this.#client = undefined;
    this.#cluster = undefined;
  }
}

/** The error as one after which trying again helps, if that is so. */
function passing(error: unknown): unknown {
  if (isRetriable(error) || !hasKafkaCode(error, ...HEALED_BY_A_NEW_PRODUCER)) return error;
  const { code, message, kafkaCode } = error;
  return new KafkaError(code, message, { kafkaCode, retriable: true, cause: error });
}

function isAmong(marker: SinkMarker, written: readonly SinkMarker[]): boolean {
  return written.some(
    ({ checkpointId, producer }) =>
      checkpointId === marker.checkpointId && producer === marker.producer,
  );
}
