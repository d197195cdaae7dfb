/** What tests of the Kafka sink share: subtasks that are driven as the sink operator drives them, and killed. */
import { DEFAULT_CHECKPOINT, DEFAULT_RESTART } from '../../../api/job.js';
import { unregisteredMetrics, type Counter } from '../../../api/metrics.js';
import type { Committer, SinkContext, SinkWriter } from '../../../api/sink.js';
import { raw } from '../../../connectors/formats/raw.js';
import {
  kafkaSink,
  type KafkaCommittable,
  type KafkaTransaction,
} from '../../../connectors/kafka/index.js';
import { KafkaClient } from '../../../connectors/kafka/kafka-client.js';
import { ExactlyOnceCommitter } from '../../../connectors/kafka/exactly-once-committer.js';
import { systemClock } from '../../../process/system-clock.js';

/** Where the process dies, or a connection breaks. */
export const EDGES = [
  'before init',
  'after init',
  'before produce',
  'before end',
  'after end',
  'before read-back',
] as const;
export type Edge = (typeof EDGES)[number];

/** Not to be tried again by anyone: the process is gone. */
export class Killed extends Error {}

/** Once armed, the first of these clients that comes to the edge fails there. */
export class FaultyClient extends KafkaClient {
  static armed: { readonly edge: Edge; readonly fault: () => unknown } | undefined;
  #ended = false;

  static get isArmed(): boolean {
    return FaultyClient.armed !== undefined;
  }

  override async initProducerId(
    ...args: Parameters<KafkaClient['initProducerId']>
  ): ReturnType<KafkaClient['initProducerId']> {
    await this.#meet('before init');
    const identity = await super.initProducerId(...args);
    await this.#meet('after init');
    return identity;
  }

  override async produce(
    ...args: Parameters<KafkaClient['produce']>
  ): ReturnType<KafkaClient['produce']> {
    await this.#meet('before produce');
    return super.produce(...args);
  }

  override async endTxn(
    ...args: Parameters<KafkaClient['endTxn']>
  ): ReturnType<KafkaClient['endTxn']> {
    await this.#meet('before end');
    await super.endTxn(...args);
    this.#ended = true;
    await this.#meet('after end');
  }

  override async fetch(
    ...args: Parameters<KafkaClient['fetch']>
  ): ReturnType<KafkaClient['fetch']> {
    if (this.#ended) await this.#meet('before read-back');
    return super.fetch(...args);
  }

  async #meet(edge: Edge): Promise<void> {
    const { armed } = FaultyClient;
    if (armed?.edge !== edge) return;
    FaultyClient.armed = undefined;
    await armed.fault();
  }
}

/** Sees no marker: the control, which has to show duplicates. */
export class BlindClient extends FaultyClient {
  override async listOffset(): Promise<number> {
    return Promise.resolve(0);
  }
}

export interface SubtaskOptions {
  readonly brokers: readonly string[];
  readonly topic: string;
  readonly jobId?: string;
  readonly restoredJobId?: string;
  readonly attempt?: number;
  readonly subtask?: number;
  readonly parallelism?: number;
  readonly restored?: readonly KafkaCommittable[];
  readonly hangingMs?: number;
  readonly patienceMs?: number;
  readonly client?: typeof FaultyClient;
  readonly transaction?: KafkaTransaction;
  /** Of streaming transactions, ms. */
  readonly transactionTimeoutMs?: number;
}

/** Numbered values. */
export function valuesOf(prefix: string, count = 20): string[] {
  return Array.from({ length: count }, (_, index) => `${prefix}-${index}`);
}

/** In how many of a topic's partitions transactions are open, each counted by itself. */
export async function openIn(
  client: KafkaClient,
  topic: string,
  partitions: number,
): Promise<number> {
  const places = Array.from({ length: partitions }, (_, partition) => ({ topic, partition }));
  const found = await client.describeProducers(places);
  return found
    .flatMap(({ producers }) => producers)
    .filter(({ transactionStart }) => transactionStart >= 0).length;
}

export class Subtask {
  private constructor(
    private readonly writer: SinkWriter<Uint8Array, KafkaCommittable>,
    readonly committer: Committer<KafkaCommittable>,
    /** Of its counters, by their names. */
    readonly counts: ReadonlyMap<string, number>,
  ) {}

  static async start(options: SubtaskOptions): Promise<Subtask> {
    const { brokers, topic, attempt = 1, jobId = `job of ${topic}`, restored } = options;
    const { restoredJobId, hangingMs = 30_000, patienceMs = 30_000 } = options;
    const { client: Client = FaultyClient, transaction = 'atCheckpoint' } = options;
    const { transactionTimeoutMs = 60_000 } = options;
    const counts = new Map<string, number>();
    const counter = (name: string): Counter => ({
      inc: (count = 1) => counts.set(name, (counts.get(name) ?? 0) + count),
    });
    const context: SinkContext = {
      operator: 'out',
      subtask: options.subtask ?? 0,
      parallelism: options.parallelism ?? 1,
      clock: systemClock,
      metrics: { ...unregisteredMetrics, counter },
      jobId,
      attempt,
      ...(restoredJobId === undefined ? {} : { restoredJobId }),
      settings: { checkpoint: DEFAULT_CHECKPOINT, restart: DEFAULT_RESTART },
    };
    const connection = { brokers };
    const committer = await ExactlyOnceCommitter.open({
      context,
      isStreaming: transaction === 'streaming',
      connect: () => new Client({ connection, clock: systemClock }),
      transactionalIdPrefix: 'millrace',
      markerTopic: 'millrace-sink-markers',
      transactionTimeoutMs: 20_000,
      hangingMs,
      patienceMs,
    });
    if (restored !== undefined || attempt > 1) {
      if (restored !== undefined && restored.length > 0) await committer.commit(restored);
      await committer.recover();
    }
    const sink = kafkaSink({
      connection,
      topic,
      value: raw(),
      transaction,
      transactionTimeoutMs,
      patienceMs,
    });
    return new Subtask(await sink.createWriter(context), committer, counts);
  }

  write(values: readonly string[]): void {
    for (const value of values) this.writer.write(Buffer.from(value), 1_000);
  }

  prepare(checkpointId: number): Promise<readonly KafkaCommittable[]> {
    return this.writer.prepareCommit(checkpointId);
  }

  async epoch(checkpointId: number, values: readonly string[]): Promise<void> {
    this.write(values);
    await this.commit(await this.prepare(checkpointId));
  }

  /** As the operator does it. */
  async commit(committables: readonly KafkaCommittable[]): Promise<void> {
    await this.committer.commit(committables);
    this.writer.notifyCommitted?.(committables);
  }

  async close(): Promise<void> {
    await this.writer.close();
    await this.committer.close();
  }
}

/**
 * Three subtasks that become two, and then four; each time epochs are left pending, and then all are committed.
 * @returns what was written
 */
export async function rescale(
  start: (options: Partial<SubtaskOptions>) => Promise<Subtask>,
): Promise<readonly string[]> {
  let files: (readonly KafkaCommittable[])[] = [];
  let written: string[] = [];
  let checkpointId = 0;
  const restart = (attempt: number, parallelism: number): Promise<readonly Subtask[]> =>
    Promise.all(
      Array.from({ length: parallelism }, (_, subtask) => {
        const restored = files.filter((_, earlier) => earlier % parallelism === subtask).flat();
        return start({ attempt, subtask, parallelism, ...(attempt === 1 ? {} : { restored }) });
      }),
    );
  for (const [index, parallelism] of [3, 2, 4].entries()) {
    const subtasks = await restart(index + 1, parallelism);
    const epoch = async (commits: number): Promise<void> => {
      checkpointId++;
      files = await Promise.all(
        subtasks.map(async (subtask, position) => {
          const own = valuesOf(`${checkpointId}-${position}`);
          written = [...written, ...own];
          subtask.write(own);
          const prepared = await subtask.prepare(checkpointId);
          // Some of them hear that the checkpoint is complete, and the others die first.
          if (position < commits) await subtask.commit(prepared);
          return prepared;
        }),
      );
    };
    await epoch(parallelism);
    await epoch(1);
    // Of a checkpoint that is never complete.
    for (const subtask of subtasks) {
      subtask.write(['never']);
      await subtask.prepare(checkpointId + 1);
      subtask.write(['never']);
    }
  }
  await restart(9, 4);
  return written;
}
