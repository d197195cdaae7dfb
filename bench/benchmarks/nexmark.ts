/**
 * The queries of Nexmark, each a benchmark: a bounded stream of events, of which the later part is
 * measured up to the last; the tally of all must be what the naive model of the query comes to.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { BenchCluster } from '../bench-cluster.js';
import { FlinkCluster } from '../flink-cluster.js';
import { FLINK_JOBS } from '../flink-jobs.js';
import { NEXMARK_MODELS } from '../jobs/nexmark/models.js';
import type { RowSums } from '../jobs/nexmark/row-tally.js';
import { machineMs } from '../jobs/tally-sink.js';
import type { MeasuredCluster } from '../measured-cluster.js';
import type { Benchmark, Engine, Measurement, RunOptions, Topology } from '../measurement.js';
import { printProfile } from '../profile-split.js';
import { runRawLoop } from '../raw-loop.js';
import type { RawResult } from '../raw-loop-main.js';
import { lastTraceMs, progressAt, readTallies } from '../tallies.js';
import {
  checkSums,
  measurementOfRaw,
  others,
  shapeOf,
  withRatios,
  withTarget,
  type Proof,
} from './throughput.js';

/** So many for each second that the measurement is to last. */
const EVENTS_PER_SECOND = 500_000;

/** Of the events, before anything counts: compilers get to know the job. */
const WARM_UP_SHARE = 0.4;
const WARM_UP_TIMEOUT_MS = 300_000;
const POLL_MS = 50;

/** A cluster, and the job on it that is to be measured. */
interface Started {
  readonly cluster: MeasuredCluster;
  /** Resolves with the job's id once all of its tasks run. */
  readonly start: () => Promise<string>;
  /** Called when all processes have ended. */
  readonly closed?: (recordsPerSecond: number) => Promise<void>;
}

interface Query {
  readonly benchmark: string;
  readonly topology: Topology;
  readonly events: number;
  readonly note: (text: string) => void;
}

async function measure(
  query: string,
  topology: Topology,
  runOptions: RunOptions,
): Promise<readonly Measurement[]> {
  const { seconds, note } = runOptions;
  const benchmark = `nexmark-${query}`;
  const events = Math.round(seconds * EVENTS_PER_SECOND);
  const of = { benchmark, topology, events, note };
  const ours = await measureOurs(query, of, runOptions);
  const flink = await measureFlink(of, runOptions);
  note(`${benchmark} ${topology}: the naive model does the same events`);
  const raw = await runRawLoop(benchmark, [events]);
  for (const { measurement, proof } of flink === undefined ? [ours] : [ours, flink]) {
    checkSums(`${benchmark} ${topology} ${measurement.engine}`, proof, raw.sums);
  }
  const measured = withRatioToRaw(ours.measurement, raw);
  return [
    withTarget(withRatios(measured, flink?.measurement), undefined),
    ...(flink === undefined ? [] : [withRatioToRaw(flink.measurement, raw)]),
    measurementOfRaw(benchmark, topology, events, ours.proof, raw),
  ];
}

function measureOurs(query: string, of: Query, { profile, note }: RunOptions): Promise<Course> {
  const shape = { ...shapeOf(of.topology), ...(profile ? { profileAfterMs: 0 } : {}) };
  return BenchCluster.with(shape, (cluster) =>
    runBounded({ engine: 'millrace' }, of, {
      cluster,
      start: async () => {
        const jobId = await cluster.submit(`nexmark/${query}.ts`, { events: String(of.events) });
        await cluster.running(jobId);
        return jobId;
      },
      closed: async (rate) => {
        if (profile) await printProfile(cluster.probeFolder, rate, note);
      },
    }),
  );
}

async function measureFlink(of: Query, { flink }: RunOptions): Promise<Course | undefined> {
  const peer = FLINK_JOBS.get(of.benchmark);
  if (flink === undefined || peer === undefined) return undefined;
  return FlinkCluster.with(
    { build: flink, ...shapeOf(of.topology), stateBackend: peer.stateBackend },
    (cluster) =>
      runBounded({ engine: 'flink', engineVersion: flink.version }, of, {
        cluster,
        start: () => cluster.submit(peer, { more: [of.events] }),
      }),
  );
}

interface Course {
  readonly measurement: Measurement;
  readonly proof: Proof;
}

async function runBounded(
  engine: { readonly engine: Engine; readonly engineVersion?: string },
  { benchmark, topology, events, note }: Query,
  { cluster, start, closed }: Started,
): Promise<Course> {
  note(`${benchmark} ${topology} ${engine.engine}: ${events} events`);
  const jobId = await start();
  await warmedUp(cluster, events);
  const load = await cluster.watch(cluster.finished(jobId));
  // Flink waits for its next checkpoint before a job has finished: its last record counts.
  const endedMs = engine.engine === 'flink' ? await lastTraceMs(cluster.tallyFolder) : load.toMs;
  const measured = events - (await progressAt(cluster.tallyFolder, load.fromMs));
  const tallies = await readTallies<RowSums>(cluster.tallyFolder);
  const total = tallies.reduce((sum, tally) => sum + tally.sum, 0);
  const proof = { counts: [events], sums: { sum: total }, checksum: total.toString(16) };
  await cluster.close();
  const gcSeconds = await cluster.gcSeconds(load);
  const rate = (measured * 1000) / (endedMs - load.fromMs);
  await closed?.(rate);
  return {
    proof,
    measurement: {
      benchmark,
      topology,
      ...engine,
      recordsPerSecond: Math.round(rate),
      recordsPerCpuSecond: Math.round(measured / load.cpuSeconds),
      cpuSeconds: load.cpuSeconds,
      rssBytesMax: load.rssBytesMax,
      gcShare: gcSeconds / load.cpuSeconds,
      records: events,
      checksum: proof.checksum,
      ...others(load),
    },
  };
}

/** Resolves when the source has made the events that are not to be measured. */
async function warmedUp({ tallyFolder }: MeasuredCluster, events: number): Promise<void> {
  const deadlineMs = machineMs() + WARM_UP_TIMEOUT_MS;
  while ((await progressAt(tallyFolder, machineMs())) < events * WARM_UP_SHARE) {
    if (machineMs() > deadlineMs) throw new Error('nexmark: the source made no progress');
    await delay(POLL_MS);
  }
}

function withRatioToRaw(measurement: Measurement, raw: RawResult): Measurement {
  const { recordsPerSecond = NaN, recordsPerCpuSecond = NaN } = measurement;
  return {
    ...measurement,
    rawRecordsPerSecond: Math.round(raw.recordsPerSecond),
    ratioToRaw: recordsPerSecond / raw.recordsPerSecond,
    ratioToRawPerCpu: recordsPerCpuSecond / raw.recordsPerCpuSecond,
  };
}

const DESCRIPTIONS: Readonly<Record<string, string>> = {
  q0: 'pass-through',
  q1: 'currency conversion',
  q2: 'selection',
  q3: 'local item suggestion: join of people and auctions',
  q4: 'average of winning bids by category',
  q5: 'hot items: sliding windows',
  q7: 'highest bid: tumbling windows',
  q8: 'new users: join in tumbling windows',
  q11: 'user sessions',
  q12: 'processing-time windows',
  q13: 'join with a side input',
  q16: 'channel statistics: distinct counts',
  q17: 'auction statistics',
  q18: 'last bid',
  q19: 'top ten bids',
  q20: 'join of bids and auctions',
};

export const nexmark: readonly Benchmark[] = Object.keys(NEXMARK_MODELS).map((query) => ({
  name: `nexmark-${query}`,
  description: `Nexmark: ${DESCRIPTIONS[query] ?? query}`,
  seconds: 20,
  run: async (options) => {
    const measurements: Measurement[] = [];
    for (const topology of options.topologies) {
      measurements.push(...(await measure(query, topology, options)));
    }
    return measurements;
  },
}));
