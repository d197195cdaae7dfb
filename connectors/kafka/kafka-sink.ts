/**
 * A sink that writes Kafka topics. What a job's author may say stands in kafka-sink-options.ts; an epoch is gathered in
 * epoch-writer.ts, or goes out while it runs by streaming-writer.ts, and is committed in
 * exactly-once-committer.ts.
 */
import type { Committer, Sink, SinkContext } from '../../api/sink.js';
import { MillraceError } from '../../core/errors.js';
import type { Encoder } from '../formats/format.js';
import type { OutgoingBatch } from './batch-sender.js';
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
import {
  sinkSettings,
  type KafkaSinkOptions,
  type KafkaSinkSettings,
} from './kafka-sink-options.js';
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

/** Of the transactions that only say whose the output is. */
const CLAIM_TIMEOUT_MS = 60_000;
const ABORT_SCAN_MS = 15_000;

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
  const settings = sinkSettings(options);
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
  { key }: KafkaSinkSettings<T, K>,
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
  settings: KafkaSinkSettings<T, K>,
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

function mappingOf<T, K>(settings: KafkaSinkSettings<T, K>): RecordMapping<T> {
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
  settings: KafkaSinkSettings<T, K>,
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
  settings: KafkaSinkSettings<T, K>,
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
function commitTimeoutMsOf<T, K>({
  transaction,
  transactionTimeoutMs,
}: KafkaSinkSettings<T, K>): number {
  return transaction === 'atCheckpoint'
    ? transactionTimeoutMs
    : Math.min(transactionTimeoutMs, CLAIM_TIMEOUT_MS);
}

/** A coordinator aborts what is open for longer than its own timeout, for which it looks every 10 s. */
function hangingMsOf<T, K>(settings: KafkaSinkSettings<T, K>): number {
  return commitTimeoutMsOf(settings) + ABORT_SCAN_MS;
}

function invalid(message: string): MillraceError {
  return new MillraceError('PARAM_INVALID', `kafkaSink: ${message}`);
}
