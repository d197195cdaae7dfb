/**
 * A sink that writes Kafka topics. Here is what the job's author says; an epoch is gathered in
 * epoch-writer.ts, or goes out while it runs by streaming-writer.ts, and is committed in
 * exactly-once-committer.ts.
 */
import type { Committer, Sink, SinkContext } from '../../api/sink.js';
import { MillraceError } from '../../core/errors.js';
import type { Encoder, EncodingFormat } from '../formats/format.js';
import type { OutgoingBatch } from './batch-sender.js';
import { COMPRESSIONS, type Compression } from './compression.js';
import { checkCluster } from './cluster-check.js';
import { DirectOutput } from './direct-output.js';
import { EpochWriter } from './epoch-writer.js';
import { ExactlyOnceCommitter } from './exactly-once-committer.js';
import { checkFormats, formatContext } from './format-place.js';
import { KafkaClient } from './kafka-client.js';
import {
  kafkaCommittableSchema,
  type EpochIdentity,
  type KafkaCommittable,
} from './kafka-committable.js';
import { checkConnection, type KafkaConnectionOptions } from './kafka-connection.js';
import type { KafkaHeader } from './kafka-record.js';
import { MarkerTopic } from './marker-topic.js';
import { RecordBatcher, type RecordMapping, type TopicTarget } from './record-batcher.js';
import { SentMetrics } from './sent-metrics.js';
import { markerPartitionOf, transactionalIdOf } from './sink-marker.js';
import { SendBacklog } from './send-backlog.js';
import { StreamingWriter, type StreamingOutput } from './streaming-writer.js';
import { planTopics, type TopicPlan } from './topic-plan.js';
import { TransactionOutput, type TransactionOutputOptions } from './transaction-output.js';
import { checkBrokersAllow, checkEpochFits } from './transaction-timeout.js';
import { checkMayUseTopics, checkMayUseTransactions } from './user-rights.js';

/** How often a record is in the topic after failures: once; once or more; or perhaps not at all. */
export type KafkaDelivery = 'exactlyOnce' | 'atLeastOnce' | 'none';

/** How long a transaction is open: for the commit of a checkpoint, or from the first record of its epoch on. */
export type KafkaTransaction = 'atCheckpoint' | 'streaming';

/** A topic for each record, out of those that are named: a job that starts finds out whether they exist. */
export interface TopicPerRecord<T> {
  readonly names: readonly string[];
  readonly of: (record: T) => string;
}

export interface KafkaKey<T, K> {
  /** null: none; such records go wherever a batch is being filled. */
  readonly of: (record: T) => K | null;
  readonly format: EncodingFormat<K>;
}

export interface KafkaSinkOptions<T, K = never> {
  readonly connection: KafkaConnectionOptions;
  /** It has to exist. */
  readonly topic: string | TopicPerRecord<T>;
  readonly value: EncodingFormat<T>;
  readonly key?: KafkaKey<T, K>;
  /** Records of which only the key is written, which deletes it in a compacted topic; none by default. */
  readonly tombstone?: (record: T) => boolean;
  /** From 0 to partitions - 1; by default as Kafka's own producers do it: by murmur2 of the key. */
  readonly partitioner?: (record: T, partitions: number) => number;
  /** Whole ms; by default the record's event time, or the time of writing where it has none. */
  readonly timestamp?: (record: T, eventTimestamp: number) => number;
  readonly headers?: (record: T) => readonly KafkaHeader[];
  /** `exactlyOnce` by default. */
  readonly delivery?: KafkaDelivery;
  /**
   * exactlyOnce: `atCheckpoint` by default. With `streaming` records go to the brokers while the epoch runs,
   * and checkpoints don't hold them; what the brokers abort, because it was open for too long, is lost.
   */
  readonly transaction?: KafkaTransaction;
  /** `none` by default. */
  readonly compression?: Compression;
  /** A batch is finished at this size, 256 KiB by default. */
  readonly batchBytes?: number;
  /** atCheckpoint: what a subtask may hold for one checkpoint, 256 MiB by default. */
  readonly epochBytesMax?: number;
  /** exactlyOnce: how the transactional ids begin, `millrace` by default. */
  readonly transactionalIdPrefix?: string;
  /** exactlyOnce: the topic of the markers, made if it is not there; `millrace-sink-markers` by default. */
  readonly markerTopic?: string;
  /**
   * exactlyOnce: how long a transaction may be open. For `atCheckpoint` that is the commit of a checkpoint, 60,000 ms by
   * default; for `streaming` all from the begin of an epoch to its commit, a restart in between included: 900,000 ms,
   * which brokers allow unless they are set otherwise.
   */
  readonly transactionTimeoutMs?: number;
  /**
   * Otherwise: how long a record waits for others at most, 5 ms by default. With `streaming` 50 ms: readers of what is
   * committed wait for the checkpoint, and the barrier waits for nobody.
   */
  readonly lingerMs?: number;
  /** Otherwise: bytes that brokers have not acknowledged, 32 MiB by default. */
  readonly unsentBytesMax?: number;
  /** How long to go on when brokers are away, 30,000 ms by default; then the task fails. */
  readonly patienceMs?: number;
}

const DEFAULTS = {
  delivery: 'exactlyOnce',
  transaction: 'atCheckpoint',
  compression: 'none',
  batchBytes: 256 * 1024,
  epochBytesMax: 256 * 1024 * 1024,
  transactionalIdPrefix: 'millrace',
  markerTopic: 'millrace-sink-markers',
  transactionTimeoutMs: 60_000,
  lingerMs: 5,
  unsentBytesMax: 32 * 1024 * 1024,
  patienceMs: 30_000,
} as const;
const STREAMING_DEFAULTS = { transactionTimeoutMs: 900_000, lingerMs: 50 } as const;
/** Of the transactions that only say whose the output is. */
const CLAIM_TIMEOUT_MS = 60_000;
const TRANSACTIONS: readonly string[] = ['atCheckpoint', 'streaming'];
const DELIVERIES: readonly string[] = ['exactlyOnce', 'atLeastOnce', 'none'];
const ABORT_SCAN_MS = 15_000;
const SIZES = ['batchBytes', 'epochBytesMax', 'transactionTimeoutMs', 'unsentBytesMax'] as const;

type Settings<T, K> = KafkaSinkOptions<T, K> & Required<Pick<KafkaSinkOptions<T, K>, Defaulted>>;
type Defaulted = keyof typeof DEFAULTS;

/**
 * A sink of records of Kafka topics.
 *
 * exactlyOnce: what was written since a checkpoint is kept in the next one, and after that is complete
 * one transaction writes it. Readers with `isolation.level=read_committed` see every record once,
 * however long the job, the brokers or both were away. Such readers also need no patience: a
 * transaction lasts as long as the commit, not as long as the checkpoint interval. With
 * `transaction: 'streaming'` it does last that long, and longer than a transaction may nobody be away.
 *
 * Writing fails with MillraceError TOPIC_MISSING (topics are never made here), ACCESS_DENIED,
 * OUTPUT_FAILED for a record that the topic can't take, OUTPUT_CONFLICT when another job goes on with
 * this job's output, OUTPUT_LOST when the brokers have aborted a streaming transaction, BROKER_REFUSED, and BROKER_UNREACHABLE once brokers were away for `patienceMs`.
 * @throws MillraceError PARAM_INVALID naming the option that is wrong
 */
export function kafkaSink<T, K = never>(
  options: KafkaSinkOptions<T, K>,
): Sink<T, KafkaCommittable> {
  const settings = settingsOf(options);
  checkSettings(settings);
  const { topic, value, delivery, connection, transactionTimeoutMs } = settings;
  const isStreaming = delivery === 'exactlyOnce' && settings.transaction === 'streaming';
  const names = typeof topic === 'string' ? [topic] : topic.names;
  const connect = ({ clock }: SinkContext): KafkaClient => new KafkaClient({ connection, clock });
  return {
    description: `Kafka ${names.join(', ')}`,
    exclusiveOutputs: names.map(
      (name) => `topic "${name}" (Kafka at ${connection.brokers.join(', ')})`,
    ),
    schema: value.schema,
    committableSchema: kafkaCommittableSchema,
    async check(context) {
      if (isStreaming) checkEpochFits(transactionTimeoutMs, context.settings);
      await checkCluster(connection, context, async (client) => {
        await planTargets(client, settings, names);
        await checkMayUseTopics(client, names, 'WRITE');
        if (delivery !== 'exactlyOnce') return;
        await checkBrokersAllow(transactionTimeoutMs, client);
        await checkMayUseTransactions(client, settings.transactionalIdPrefix);
      });
      await checkFormats({ key: settings.key?.format, value }, names, 'write');
    },
    async createWriter(context) {
      const client = connect(context);
      try {
        const targets = await createTargets(client, settings, names);
        const createBatcher = (emit: (batch: OutgoingBatch) => void): RecordBatcher<T> =>
          new RecordBatcher({
            mapping: mappingOf(settings),
            targets,
            batchBytes: settings.batchBytes,
            firstPartition: context.subtask,
            now: () => context.clock.now(),
            emit,
          });
        if (delivery === 'exactlyOnce' && !isStreaming) {
          const identity = await epochIdentity(client, settings, context);
          return new EpochWriter({ ...settings, createBatcher, identity });
        }
        const { clock } = context;
        const backlog = new SendBacklog(settings.unsentBytesMax);
        const sent = new SentMetrics(context.metrics);
        const output = await openOutput(settings, context, { topics: names, backlog, sent });
        return new StreamingWriter({ ...settings, createBatcher, output, backlog, clock });
      } finally {
        client.close();
      }
    },
    async createCommitter(context) {
      if (isStreaming) checkEpochFits(transactionTimeoutMs, context.settings);
      const open = (): Promise<ExactlyOnceCommitter> =>
        ExactlyOnceCommitter.open({
          ...settings,
          isStreaming,
          transactionTimeoutMs: commitTimeoutMsOf(settings),
          hangingMs: hangingMsOf(settings),
          context,
          connect: () => connect(context),
        });
      return delivery === 'exactlyOnce' ? open() : leftOverCommitter(open);
    },
  };
}

/** For a sink without transactions, restored from one that had them: what that left still has to come. */
function leftOverCommitter(open: () => Promise<ExactlyOnceCommitter>): Committer<KafkaCommittable> {
  return {
    async commit(committables) {
      const committer = await open();
      try {
        await committer.commit(committables);
        await committer.recover();
      } finally {
        await committer.close();
      }
    },
    recover: () => Promise.resolve(),
    close: () => Promise.resolve(),
  };
}

async function planTargets<T, K>(
  client: KafkaClient,
  { key }: Settings<T, K>,
  names: readonly string[],
): Promise<readonly TopicPlan[]> {
  const plans = await planTopics(client, names);
  for (const { topic, isCompacted } of plans) {
    if (!isCompacted || key !== undefined) continue;
    throw invalid(`topic "${topic}" is compacted, so that records need a key; give key`);
  }
  return plans;
}

async function createTargets<T, K>(
  client: KafkaClient,
  settings: Settings<T, K>,
  names: readonly string[],
): Promise<readonly TopicTarget<T>[]> {
  const { key, value } = settings;
  const plans = await planTargets(client, settings, names);
  return Promise.all(
    plans.map(async (plan) => {
      return {
        plan,
        value: await value.createEncoder(formatContext(plan.topic, 'value')),
        // What it is given comes from the key's own `of`.
        key: (await key?.format.createEncoder(formatContext(plan.topic, 'key'))) as
          Encoder<unknown> | undefined,
      };
    }),
  );
}

function mappingOf<T, K>(settings: Settings<T, K>): RecordMapping<T> {
  const { topic, key, tombstone, partitioner, timestamp, headers } = settings;
  return {
    topic: typeof topic === 'string' ? () => topic : topic.of,
    key: key?.of,
    tombstone,
    partitioner,
    timestamp,
    headers,
  };
}

/** Where records go while the epoch runs. */
async function openOutput<T, K>(
  settings: Settings<T, K>,
  context: SinkContext,
  parts: Pick<TransactionOutputOptions, 'topics' | 'backlog' | 'sent'>,
): Promise<StreamingOutput> {
  const { delivery, connection, transactionalIdPrefix: prefix } = settings;
  const { clock, parallelism, jobId, operator, subtask, attempt } = context;
  const connect = (): KafkaClient => new KafkaClient({ connection, clock });
  if (delivery !== 'exactlyOnce') {
    return DirectOutput.open({ ...settings, ...parts, delivery, connect, clock });
  }
  const client = connect();
  try {
    const { markerTopic, markerPartition } = await epochIdentity(client, settings, context);
    return await TransactionOutput.open({
      ...settings,
      ...parts,
      client,
      clock,
      markerPlace: { topic: markerTopic, partition: markerPartition },
      owner: { prefix, jobId, operator, subtask, attempt },
      parallelism,
    });
  } catch (error) {
    client.close();
    throw error;
  }
}

async function epochIdentity<T, K>(
  client: KafkaClient,
  settings: Settings<T, K>,
  { clock, jobId, attempt, operator, subtask }: SinkContext,
): Promise<EpochIdentity> {
  const { markerTopic: topic, transactionalIdPrefix: prefix } = settings;
  const hangingMs = hangingMsOf(settings);
  const { partitions } = await MarkerTopic.open({ client, topic, clock, hangingMs });
  const identity = { prefix, jobId, operator, subtask };
  return {
    jobId,
    attempt,
    transactionalId: transactionalIdOf(identity),
    markerTopic: topic,
    markerPartition: markerPartitionOf(identity, partitions),
  };
}

/** Of transactions that last as long as a commit. */
function commitTimeoutMsOf<T, K>({ transaction, transactionTimeoutMs }: Settings<T, K>): number {
  return transaction === 'atCheckpoint'
    ? transactionTimeoutMs
    : Math.min(transactionTimeoutMs, CLAIM_TIMEOUT_MS);
}

/** A coordinator aborts what is open for longer than its own timeout, for which it looks every 10 s. */
function hangingMsOf<T, K>(settings: Settings<T, K>): number {
  return commitTimeoutMsOf(settings) + ABORT_SCAN_MS;
}

function settingsOf<T, K>(options: KafkaSinkOptions<T, K>): Settings<T, K> {
  const { delivery = DEFAULTS.delivery, transaction = DEFAULTS.transaction } = options;
  const isStreaming = delivery === 'exactlyOnce' && transaction === 'streaming';
  return { ...DEFAULTS, ...(isStreaming ? STREAMING_DEFAULTS : {}), ...options };
}

function checkSettings<T, K>(settings: Settings<T, K>): void {
  checkConnection(settings.connection);
  const { topic, delivery, transaction, compression, lingerMs, patienceMs } = settings;
  const names = typeof topic === 'string' ? [topic] : topic.names;
  if (names.length === 0 || names.includes('')) throw invalid('a topic has no name; give one');
  if (new Set(names).size < names.length) throw invalid('a topic is named twice; name it once');
  if (names.includes(settings.markerTopic)) {
    throw invalid(`topic "${settings.markerTopic}" is for markers; name another markerTopic`);
  }
  if (!DELIVERIES.includes(delivery)) {
    throw invalid(`delivery is "${delivery}"; give one of ${DELIVERIES.join(', ')}`);
  }
  if (!TRANSACTIONS.includes(transaction)) {
    throw invalid(`transaction is "${transaction}"; give one of ${TRANSACTIONS.join(', ')}`);
  }
  if (!COMPRESSIONS.includes(compression)) {
    throw invalid(`compression is "${compression}"; give one of ${COMPRESSIONS.join(', ')}`);
  }
  if (settings.tombstone !== undefined && settings.key === undefined) {
    throw invalid('tombstone is given and key is not; give key as well');
  }
  for (const name of SIZES) checkNumber(name, settings[name], 1);
  checkNumber('lingerMs', lingerMs, 0);
  checkNumber('patienceMs', patienceMs, 0);
  for (const name of ['transactionalIdPrefix', 'markerTopic'] as const) {
    if (settings[name] === '') throw invalid(`${name} is empty; give a name, or leave it out`);
  }
}

function checkNumber(name: string, value: number, min: number): void {
  if (Number.isSafeInteger(value) && value >= min) return;
  throw invalid(`${name} is ${value}; give a whole number from ${min}`);
}

function invalid(message: string): MillraceError {
  return new MillraceError('PARAM_INVALID', `kafkaSink: ${message}`);
}
