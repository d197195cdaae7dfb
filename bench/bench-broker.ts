/**
 * A Kafka broker for one measurement: a process on loopback with the heap and compiler of a real one, and
 * topics of transactions in it. What stands in a topic is judged by Kafka's own consumer, never by ours.
 */
import { execFile } from 'node:child_process';
import path from 'node:path';
import { promisify } from 'node:util';
import { DEFAULT_CHECKPOINT, DEFAULT_RESTART } from '../api/job.js';
import { unregisteredMetrics } from '../api/metrics.js';
import type { Format } from '../connectors/formats/format.js';
import { kafkaSink } from '../connectors/kafka/index.js';
import { systemClock } from '../process/system-clock.js';
import { KafkaService } from '../test/services/kafka.js';
import { ensureKafka, javaCommand, runKafkaTool } from '../test/services/kafka-installation.js';
import type { LatencyHistogram } from './jobs/latency-tally.js';

const VERSION = '3.9';
const PEER = path.join('bench', 'peers', 'kafka');
/** Records between two looks at whether the writer wants more. */
const TURN_RECORDS = 1_000;

/** Of the committed records of a topic, whatever their order. */
export interface TopicSums {
  readonly count: number;
  readonly checksum: number;
}

/** A consumer at work. */
export interface LatencyReading {
  readonly pid: number;
  /** Resolves when it has seen all records; rejects when its time is up before. */
  readonly histogram: Promise<LatencyHistogram>;
}

export class BenchBroker {
  readonly #kafka: KafkaService;

  private constructor(kafka: KafkaService) {
    this.#kafka = kafka;
  }

  /** Runs `measure` with a fresh broker. @throws Error saying what is missing here, such as Java */
  static async with<R>(measure: (broker: BenchBroker) => Promise<R>): Promise<R> {
    await ensureKafka(VERSION);
    const kafka = await KafkaService.start({ version: VERSION, tuned: true });
    try {
      return await measure(new BenchBroker(kafka));
    } finally {
      await kafka.stop();
    }
  }

  get address(): string {
    return this.#kafka.bootstrapServers;
  }

  get pid(): number {
    return this.#kafka.pid();
  }

  createTopic(topic: string, partitions: number): Promise<void> {
    return this.#kafka.createTopic(topic, partitions);
  }

  /** Makes a topic of records 0 to count - 1. */
  async fill<T>(
    topic: string,
    value: Format<T>,
    options: {
      readonly partitions: number;
      readonly count: number;
      readonly recordOf: (index: number) => T;
      /** Those of a partition grow. */
      readonly timestampOf: (record: T) => number;
    },
  ): Promise<void> {
    const { partitions, count, recordOf, timestampOf } = options;
    await this.createTopic(topic, partitions);
    let index = 0;
    const sink = kafkaSink({
      connection: { brokers: [this.address] },
      topic,
      value,
      partitioner: () => index % partitions,
      delivery: 'atLeastOnce',
    });
    const writer = await sink.createWriter(subtask('fill'));
    try {
      for (; index < count; index++) {
        const record = recordOf(index);
        writer.write(record, timestampOf(record));
        if (index % TURN_RECORDS !== 0) continue;
        await writer.whenWritable();
      }
      await writer.prepareCommit(1);
    } finally {
      await writer.close();
    }
  }

  /** Of the values as they are. */
  sums(topic: string): Promise<TopicSums> {
    return this.#judge(topic, 'bytes');
  }

  /** Of totals as JSON text, whatever the spelling of their numbers: as bench/jobs/total-sums.ts adds them up. */
  totalSums(topic: string): Promise<TopicSums> {
    return this.#judge(topic, 'totals');
  }

  /**
   * Begins to look for records that carry when they were due, as bench/jobs/timed-transaction.ts has them.
   * @param options.fromIndex records before this one are warm-up and not counted
   */
  readLatencies(
    topic: string,
    options: {
      readonly isolation: 'read_committed' | 'read_uncommitted';
      /** So many will come. */
      readonly records: number;
      readonly fromIndex: number;
      readonly timeoutSeconds: number;
    },
  ): LatencyReading {
    const { isolation, records, fromIndex, timeoutSeconds } = options;
    const [java, ...flags] = javaCommand(VERSION, true);
    const numbers = [records, fromIndex, timeoutSeconds].map(String);
    const reader = path.join(PEER, 'LatencyReader.java');
    const reading = promisify(execFile)(java, [
      ...flags,
      ...[reader, this.address, topic, isolation, ...numbers],
    ]);
    return {
      pid: reading.child.pid ?? 0,
      histogram: reading.then(({ stdout }) => JSON.parse(stdout) as LatencyHistogram),
    };
  }

  async #judge(topic: string, kind: 'bytes' | 'totals'): Promise<TopicSums> {
    const judge = path.join(PEER, 'TopicSums.java');
    return JSON.parse(await runKafkaTool(VERSION, [judge, this.address, topic, kind])) as TopicSums;
  }
}

/** Where a connector is used without a cluster: the only subtask of an operator. */
export function subtask(operator: string) {
  return {
    operator,
    subtask: 0,
    parallelism: 1,
    clock: systemClock,
    jobId: 'bench',
    attempt: 1,
    metrics: unregisteredMetrics,
    settings: { checkpoint: DEFAULT_CHECKPOINT, restart: DEFAULT_RESTART },
  };
}
