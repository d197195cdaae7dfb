/**
 * The queries of Nexmark, each a benchmark: a bounded stream of events, of which the later part is
 * measured up to the last; the tally of all must be what the naive model of the query comes to.
 */
import { BenchCluster } from '../bench-cluster.js';
import { FlinkCluster } from '../flink-cluster.js';
import { FLINK_JOBS } from '../flink-jobs.js';
import { NEXMARK_MODELS } from '../jobs/nexmark/models.js';
import type { RowSums } from '../jobs/nexmark/row-tally.js';
import type { Benchmark, Measurement, RunOptions, Topology } from '../measurement.js';
import { printProfile } from '../profile-split.js';
import { runRawLoop } from '../raw-loop.js';
import type { RawResult } from '../raw-loop-main.js';
import { progressAt, readTallies } from '../tallies.js';
import { runBounded, type BoundedStart } from './bounded-run.js';
import {
  checkSums,
  measurementOfRaw,
  shapeOf,
  withRatios,
  withTarget,
  type Proof,
} from './throughput.js';

/** So many for each second that the measurement is to last. */
const EVENTS_PER_SECOND = 500_000;

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
    run(of, {
      engine: { engine: 'millrace' },
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
      run(of, {
        engine: { engine: 'flink', engineVersion: flink.version },
        cluster,
        start: () => cluster.submit(peer, { more: [of.events] }),
      }),
  );
}

interface Course {
  readonly measurement: Measurement;
  readonly proof: Proof;
}

async function run(
  { benchmark, topology, events: records, note }: Query,
  start: BoundedStart,
): Promise<Course> {
  const job = { benchmark, topology, records, progressAt, note };
  const measurement = await runBounded(job, start);
  const tallies = await readTallies<RowSums>(start.cluster.tallyFolder);
  const sum = tallies.reduce((total, tally) => total + tally.sum, 0);
  const checksum = sum.toString(16);
  return {
    proof: { counts: [records], sums: { sum }, checksum },
    measurement: { ...measurement, checksum },
  };
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
