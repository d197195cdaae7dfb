/**
 * Time of a record from when it was due to when Kafka's own consumer has it, behind a job from one topic to
 * another, at a steady rate.
 */
import type { KafkaTransaction } from '../../connectors/kafka/kafka-sink-options.js';
import { BenchBroker } from '../bench-broker.js';
import { BenchCluster, bundleOf } from '../bench-cluster.js';
import { atMost } from '../figures.js';
import { EXACTLY_ONCE_INTERVAL_MS } from '../jobs/kafka-latency.js';
import { quantileMs } from '../jobs/latency-tally.js';
import { watchLoad } from '../load-watch.js';
import type { Benchmark, Measurement, RunOptions } from '../measurement.js';
import { producePaced } from '../paced-producer.js';
import { others, shapeOf } from './throughput.js';

const RATE_PER_SECOND = 10_000;
const PARTITIONS = 4;
const TOPOLOGY = '1x2';
/** The compilers of broker, worker and consumer take so long at this rate: before, p99 is theirs. */
const WARM_UP_SECONDS_MIN = 25;
/** For what is under way when the last record was written. */
const LAST_SECONDS = 30;
/** Of records behind the end of a checkpoint. */
const COMMIT_MS_MAX = 50;

interface Mode {
  readonly sink: Readonly<{
    delivery: 'atLeastOnce' | 'exactlyOnce';
    transaction: KafkaTransaction;
    compression: 'none' | 'lz4';
  }>;
  readonly title: string;
  readonly p99MsMax: number;
}

function exactlyOnce(transaction: KafkaTransaction): Mode {
  return {
    // What a second brings becomes visible at once, and has to be written, kept and read.
    sink: { delivery: 'exactlyOnce', transaction, compression: 'lz4' },
    title: `exactly once, ${transaction}, lz4, checkpoints each ${EXACTLY_ONCE_INTERVAL_MS} ms`,
    p99MsMax: EXACTLY_ONCE_INTERVAL_MS + COMMIT_MS_MAX,
  };
}

const MODES: readonly Mode[] = [
  {
    sink: { delivery: 'atLeastOnce', transaction: 'atCheckpoint', compression: 'none' },
    title: 'at least once',
    p99MsMax: 25,
  },
  exactlyOnce('atCheckpoint'),
  exactlyOnce('streaming'),
];

function measure(
  broker: BenchBroker,
  { sink, title, p99MsMax }: Mode,
  { seconds, note, ...options }: RunOptions,
): Promise<Measurement> {
  const warmUpSeconds = Math.max(options.warmUpSeconds, WARM_UP_SECONDS_MIN);
  const mode = `${sink.delivery}-${sink.transaction}`;
  const [input, output] = [`due-${mode}`, `seen-${mode}`];
  return BenchCluster.with(shapeOf(TOPOLOGY), async (cluster) => {
    await broker.createTopic(input, PARTITIONS);
    await broker.createTopic(output, PARTITIONS);
    note(`kafka-latency, ${title}: ${RATE_PER_SECOND} records/s for ${seconds} s`);
    const brokers = broker.address;
    const bundle = await bundleOf('kafka-latency.ts', { brokers, input, output, ...sink });
    const jobId = await cluster.submitBundle(bundle, shapeOf(TOPOLOGY).slots);
    await cluster.running(jobId);
    const allSeconds = warmUpSeconds + seconds;
    const records = RATE_PER_SECOND * allSeconds;
    const seen = broker.readLatencies(output, {
      isolation: sink.delivery === 'exactlyOnce' ? 'read_committed' : 'read_uncommitted',
      records,
      fromIndex: RATE_PER_SECOND * warmUpSeconds,
      timeoutSeconds: allSeconds + LAST_SECONDS,
    });
    const produced = producePaced(broker, input, {
      partitions: PARTITIONS,
      ratePerSecond: RATE_PER_SECOND,
      records,
    });
    const pids = new Map([...cluster.processes, ['broker', broker.pid], ['reader', seen.pid]]);
    await watchLoad(pids, warmUpSeconds);
    const load = await watchLoad(pids, produced);
    const histogram = await seen.histogram;
    await cluster.checkRunning(jobId);
    const figures = {
      ratePerSecond: RATE_PER_SECOND,
      p50Ms: quantileMs([histogram], 0.5),
      p99Ms: quantileMs([histogram], 0.99),
      p999Ms: quantileMs([histogram], 0.999),
      maxMs: quantileMs([histogram], 1),
    };
    return {
      benchmark: 'kafka-latency',
      topology: title,
      engine: 'millrace',
      records: histogram.reduce((sum, [, count]) => sum + count, 0),
      ...others(load),
      figures,
      target: atMost(`p99 within ${p99MsMax} ms`, figures, { p99Ms: p99MsMax }),
    };
  });
}

export const kafkaLatency: Benchmark = {
  name: 'kafka-latency',
  description: '10,000 records/s paced by due time, from a topic through a job to another topic',
  seconds: 20,
  run: (options) =>
    BenchBroker.with(async (broker) => {
      const measurements: Measurement[] = [];
      for (const mode of MODES) measurements.push(await measure(broker, mode, options));
      return measurements;
    }),
};
