/**
 * JSON from a topic, one-minute windows of 100,000 users, JSON into a topic, exactly once, beside Flink with its
 * own Kafka connector: one topic, read to its end by both, of which the later part is measured. The broker's CPU counts.
 * Kafka's own consumer adds up what committed, and the raw loop what had to.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { json } from '../../connectors/formats/index.js';
import { BenchBroker, type TopicSums } from '../bench-broker.js';
import { BenchCluster } from '../bench-cluster.js';
import { FlinkCluster } from '../flink-cluster.js';
import { FLINK_JOBS } from '../flink-jobs.js';
import { machineMs } from '../jobs/tally-sink.js';
import { SPLITS, Transaction } from '../jobs/transactions.js';
import { RECORDS_PER_MS } from '../jobs/window-pipeline.js';
import { watchLoad } from '../load-watch.js';
import type { MeasuredCluster } from '../measured-cluster.js';
import type { Benchmark, Engine, Measurement, RunOptions, Topology } from '../measurement.js';
import { printProfile } from '../profile-split.js';
import { runRawLoop } from '../raw-loop.js';
import { lastTraceMs, takenAt } from '../tallies.js';
import {
  checkSums,
  measurementOfRaw,
  others,
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
/** Of the records, before anything counts: compilers get to know the job. */
const WARM_UP_SHARE = 0.4;
const WARM_UP_TIMEOUT_MS = 300_000;
const POLL_MS = 50;

/** A cluster, and the job on it that is to be measured. */
interface Started {
  readonly engine: { readonly engine: Engine; readonly engineVersion?: string };
  readonly cluster: MeasuredCluster;
  readonly output: string;
  readonly start: () => Promise<string>;
  /** Called when all processes have ended. */
  readonly closed?: (recordsPerSecond: number) => Promise<void>;
}

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
    runBounded(course, {
      engine: { engine: 'millrace' },
      cluster,
      output,
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
    runBounded(course, {
      engine: { engine: 'flink', engineVersion: build.version },
      cluster,
      output,
      start: () => cluster.submit(peer, { more: [broker.address, INPUT, output] }),
    }),
  );
}

async function runBounded(
  { broker, topology, records, options }: Course,
  { engine, cluster, output, start, closed }: Started,
): Promise<Outcome> {
  options.note(`${BENCHMARK} ${topology} ${engine.engine}: ${records} records`);
  const { tallyFolder } = cluster;
  await broker.createTopic(output, PARTITIONS);
  const jobId = await start();
  await warmedUp(tallyFolder, records);
  const pids = new Map([...cluster.processes, ['broker', broker.pid]]);
  const load = await watchLoad(pids, cluster.finished(jobId));
  const measured = records - (await takenAt(tallyFolder, load.fromMs));
  // Both wait for a last checkpoint before they have finished, and Flink for the next that is due.
  const rate = (measured * 1000) / ((await lastTraceMs(tallyFolder)) - load.fromMs);
  await cluster.close();
  const gcSeconds = await cluster.gcSeconds(load);
  await closed?.(rate);
  const sums = await broker.totalSums(output);
  return {
    sums,
    measurement: {
      benchmark: BENCHMARK,
      topology,
      ...engine,
      recordsPerSecond: Math.round(rate),
      recordsPerCpuSecond: Math.round(measured / load.cpuSeconds),
      cpuSeconds: load.cpuSeconds,
      rssBytesMax: load.rssBytesMax,
      gcShare: gcSeconds / load.cpuSeconds,
      records,
      checksum: checksumOf(sums),
      ...others(load),
    },
  };
}

/** Resolves when the windows of so many records have fired. */
async function warmedUp(tallyFolder: string, records: number): Promise<void> {
  const deadlineMs = machineMs() + WARM_UP_TIMEOUT_MS;
  while ((await takenAt(tallyFolder, machineMs())) < records * WARM_UP_SHARE) {
    if (machineMs() > deadlineMs) throw new Error(`${BENCHMARK}: no window has fired for minutes`);
    await delay(POLL_MS);
  }
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
        recordsPerMs: RECORDS_PER_MS,
      });
      const measurements: Measurement[] = [];
      for (const topology of options.topologies) {
        measurements.push(...(await measure({ broker, topology, records, options })));
      }
      return measurements;
    }),
};
