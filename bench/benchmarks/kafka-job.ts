/**
 * JSON from a topic, one-minute windows of 100,000 users, JSON into a topic, exactly once, beside Flink with its
 * own Kafka connector: one topic, read to its end by both, of which the later part is measured. The broker's CPU counts.
 * Kafka's own consumer adds up what committed, and the raw loop what had to.
 */
import { json } from '../../connectors/formats/index.js';
import { BenchBroker, type TopicSums } from '../bench-broker.js';
import { BenchCluster } from '../bench-cluster.js';
import { FlinkCluster } from '../flink-cluster.js';
import { FLINK_JOBS } from '../flink-jobs.js';
import { SPLITS, Transaction, transactionsOf, USERS } from '../jobs/transactions.js';
import { RECORDS_PER_MS } from '../jobs/window-pipeline.js';
import type { Benchmark, Measurement, RunOptions, Topology } from '../measurement.js';
import { printProfile } from '../profile-split.js';
import { runRawLoop } from '../raw-loop.js';
import { takenAt } from '../tallies.js';
import { runBounded, type BoundedStart } from './bounded-run.js';
import {
  checkSums,
  measurementOfRaw,
  shapeOf,
  withRatios,
  withTarget,
  type Proof,
} from './throughput.js';

const BENCHMARK = 'kafka-job';
const RATE_MIN_PER_SECOND = 300_000;
/** So many for each second that the measurement is to last. */
const RECORDS_PER_SECOND = 600_000;
const PARTITIONS = 4;
const INPUT = 'transactions';

interface Course {
  readonly broker: BenchBroker;
  readonly topology: Topology;
  readonly records: number;
  readonly options: RunOptions;
}

interface Outcome {
  readonly measurement: Measurement;
  readonly sums: TopicSums;
}

async function measure(course: Course): Promise<readonly Measurement[]> {
  const { topology, records, options } = course;
  const ours = await measureOurs(course);
  const flink = await measureFlink(course);
  options.note(`${BENCHMARK} ${topology}: the raw loop does the same records`);
  const counts = Array.from({ length: SPLITS }, () => records / SPLITS);
  const raw = await runRawLoop(BENCHMARK, counts);
  for (const { measurement, sums } of flink === undefined ? [ours] : [ours, flink]) {
    checkSums(`${BENCHMARK} ${topology} ${measurement.engine}`, { sums }, raw.sums);
  }
  const proof: Proof = { counts, sums: ours.sums, checksum: checksumOf(ours.sums) };
  return [
    withTarget(withRatios(ours.measurement, flink?.measurement), RATE_MIN_PER_SECOND),
    ...(flink === undefined ? [] : [flink.measurement]),
    measurementOfRaw(BENCHMARK, topology, records, proof, raw),
  ];
}

function measureOurs(course: Course): Promise<Outcome> {
  const { broker, topology, options } = course;
  const { profile, note } = options;
  const output = `totals-millrace-${topology}`;
  const shape = { ...shapeOf(topology), ...(profile ? { profileAfterMs: 0 } : {}) };
  return BenchCluster.with(shape, (cluster) =>
    run(course, output, {
      engine: { engine: 'millrace' },
      cluster,
      start: () =>
        cluster.submit('kafka-job.ts', { brokers: broker.address, input: INPUT, output }),
      closed: async (rate) => {
        if (profile) await printProfile(cluster.probeFolder, rate, note);
      },
    }),
  );
}

async function measureFlink(course: Course): Promise<Outcome | undefined> {
  const { broker, topology, options } = course;
  const peer = FLINK_JOBS.get(BENCHMARK);
  const build = options.flink;
  if (build === undefined || peer === undefined) return undefined;
  const output = `totals-flink-${topology}`;
  const { stateBackend } = peer;
  return FlinkCluster.with({ build, ...shapeOf(topology), stateBackend }, (cluster) =>
    run(course, output, {
      engine: { engine: 'flink', engineVersion: build.version },
      cluster,
      start: () => cluster.submit(peer, { more: [broker.address, INPUT, output] }),
    }),
  );
}

async function run(
  { broker, topology, records, options: { note } }: Course,
  output: string,
  start: BoundedStart,
): Promise<Outcome> {
  await broker.createTopic(output, PARTITIONS);
  const processes = new Map([['broker', broker.pid]]);
  const job = { benchmark: BENCHMARK, topology, records, progressAt: takenAt, processes, note };
  const measurement = await runBounded(job, start);
  const sums = await broker.totalSums(output);
  return { sums, measurement: { ...measurement, checksum: checksumOf(sums) } };
}

function checksumOf({ count, checksum }: TopicSums): string {
  return `${count.toString(16)}-${checksum.toString(16)}`;
}

export const kafkaJob: Benchmark = {
  name: BENCHMARK,
  description: 'JSON from Kafka, 1-minute windows of 100k users, JSON to Kafka exactly once',
  seconds: 20,
  run: (options) =>
    BenchBroker.with(async (broker) => {
      const rounds = Math.round((options.seconds * RECORDS_PER_SECOND) / SPLITS);
      const records = rounds * SPLITS;
      options.note(`${BENCHMARK}: filling a topic with ${records} transactions`);
      await broker.fill(INPUT, json(Transaction), {
        partitions: PARTITIONS,
        count: records,
        recordOf: transactionsOf({ users: USERS, recordsPerMs: RECORDS_PER_MS }),
        timestampOf: ({ timestamp }) => timestamp,
      });
      const measurements: Measurement[] = [];
      for (const topology of options.topologies) {
        measurements.push(...(await measure({ broker, topology, records, options })));
      }
      return measurements;
    }),
};
