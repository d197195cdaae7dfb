/**
 * The common course of the benchmarks that measure records per second: warm up, watch, stop at a
 * barrier, then let the raw loop do the same records and compare its sums with the tallies. A peer goes
 * the same way right after, so that both ratios are of one run.
 */
import { isDeepStrictEqual } from 'node:util';
import { BenchCluster } from '../bench-cluster.js';
import { FlinkCluster } from '../flink-cluster.js';
import { FLINK_JOBS } from '../flink-jobs.js';
import type { LoadWindow } from '../load-watch.js';
import type { MeasuredCluster } from '../measured-cluster.js';
import type { Engine, Measurement, RunOptions, Topology } from '../measurement.js';
import { printProfile } from '../profile-split.js';
import { runRawLoop } from '../raw-loop.js';
import type { RawResult } from '../raw-loop-main.js';
import { allTraced, rateBetween, readTallies } from '../tallies.js';
import { unlessVoid } from '../unless-void.js';

export interface Proof {
  /** Records of each split that the raw loop has to do. */
  readonly counts: readonly number[];
  /** What the raw loop's sums must be. */
  readonly sums: unknown;
  readonly checksum: string;
}

export interface ThroughputOptions<C> {
  readonly benchmark: string;
  readonly jobFile: string;
  /** The raw loop that does the same records; that of the benchmark unless told. */
  readonly rawLoop?: string;
  /** Adds the committed epochs up. */
  readonly prove: (tallies: readonly C[]) => Proof;
  /** The part of the raw loop's sums that the proof speaks of; all of them unless told. */
  readonly rawSums?: (sums: unknown) => unknown;
  /** Where there is nothing to be reached beside Flink. */
  readonly targetPerSecond?: number;
}

/** Millrace, then its peer, then the raw loop, for each topology. */
export async function measureThroughput<C>(
  options: ThroughputOptions<C>,
  runOptions: RunOptions,
): Promise<Measurement[]> {
  const measurements: Measurement[] = [];
  for (const topology of runOptions.topologies) {
    const ours = await measureOurs(options, topology, runOptions);
    const flink = await measureFlink(options, topology, runOptions);
    measurements.push(
      withTarget(withRatios(ours.measurement, flink?.measurement), options.targetPerSecond),
      ...(flink === undefined ? [] : [flink.measurement]),
      ours.raw,
    );
  }
  return measurements;
}

/** What a course left behind: its own measurement, and that of the raw loop behind it. */
interface Course {
  readonly measurement: Measurement;
  readonly raw: Measurement;
}

function measureOurs<C>(
  options: ThroughputOptions<C>,
  topology: Topology,
  runOptions: RunOptions,
): Promise<Course> {
  const { warmUpSeconds, profile, note } = runOptions;
  const shape = {
    ...shapeOf(topology),
    ...(profile ? { profileAfterMs: warmUpSeconds * 1000 } : {}),
  };
  return BenchCluster.with(shape, (cluster) =>
    runCourse({ engine: 'millrace' }, options, topology, runOptions, {
      cluster,
      submit: () => cluster.submit(options.jobFile),
      closed: async (rate) => {
        if (profile) await printProfile(cluster.probeFolder, rate, note);
      },
    }),
  );
}

async function measureFlink<C>(
  options: ThroughputOptions<C>,
  topology: Topology,
  runOptions: RunOptions,
): Promise<Course | undefined> {
  const build = runOptions.flink;
  const peer = FLINK_JOBS.get(options.benchmark);
  if (build === undefined || peer === undefined) return undefined;
  const engine = { engine: 'flink', engineVersion: build.version } as const;
  const shape = { build, ...shapeOf(topology), stateBackend: peer.stateBackend };
  return unlessVoid(`${options.benchmark} ${topology} flink`, runOptions.note, () =>
    FlinkCluster.with(shape, (cluster) =>
      runCourse(engine, options, topology, runOptions, {
        cluster,
        submit: () => cluster.submit(peer),
      }),
    ),
  );
}

export function shapeOf(topology: string): { readonly workers: number; readonly slots: number } {
  const [workers = 1, slots = 1] = topology.split('x').map(Number);
  return { workers, slots };
}

interface CourseOptions {
  readonly cluster: MeasuredCluster;
  readonly submit: () => Promise<string>;
  /** Called when all processes have ended. */
  readonly closed?: (recordsPerSecond: number) => Promise<void>;
}

export async function runCourse<C>(
  engine: { readonly engine: Engine; readonly engineVersion?: string },
  options: Omit<ThroughputOptions<C>, 'jobFile'>,
  topology: string,
  { seconds, warmUpSeconds, note }: RunOptions,
  { cluster, submit, closed }: CourseOptions,
): Promise<Course> {
  const { benchmark } = options;
  const title = `${benchmark} ${topology} ${engine.engine}`;
  note(`${title}: ${warmUpSeconds} s to warm up, then ${seconds} s`);
  const jobId = await submit();
  const { workers, slots } = shapeOf(topology);
  await cluster.watch(warmUpSeconds);
  await allTraced(cluster.tallyFolder, workers * slots);
  const load = await cluster.watch(seconds);
  await cluster.checkRunning(jobId);
  const rate = await rateBetween(cluster.tallyFolder, load.fromMs, load.toMs);
  await cluster.stop(jobId);
  const proof = options.prove(await readTallies<C>(cluster.tallyFolder));
  await cluster.close();
  const gcSeconds = await cluster.gcSeconds(load);
  await closed?.(rate);
  note(`${title}: the raw loop does the same records`);
  const raw = await runRawLoop(options.rawLoop ?? benchmark, proof.counts);
  checkSums(title, proof, options.rawSums === undefined ? raw.sums : options.rawSums(raw.sums));
  const records = proof.counts.reduce((sum, count) => sum + count, 0);
  const perCpu = (rate * ((load.toMs - load.fromMs) / 1000)) / load.cpuSeconds;
  return {
    measurement: {
      benchmark,
      topology,
      ...engine,
      recordsPerSecond: Math.round(rate),
      recordsPerCpuSecond: Math.round(perCpu),
      cpuSeconds: load.cpuSeconds,
      rssBytesMax: load.rssBytesMax,
      gcShare: gcSeconds / load.cpuSeconds,
      records,
      checksum: proof.checksum,
      rawRecordsPerSecond: Math.round(raw.recordsPerSecond),
      ratioToRaw: rate / raw.recordsPerSecond,
      ratioToRawPerCpu: perCpu / raw.recordsPerCpuSecond,
      ...others(load),
    },
    raw: measurementOfRaw(benchmark, topology, records, proof, raw),
  };
}

/** @throws Error when a record was lost, doubled or changed: the row is void */
export function checkSums(title: string, proof: Pick<Proof, 'sums'>, expected: unknown): void {
  if (isDeepStrictEqual(expected, proof.sums)) return;
  throw new Error(
    `${title}: the tallies are not those of the input: ` +
      `${JSON.stringify(proof.sums)} instead of ${JSON.stringify(expected)}`,
  );
}

export function measurementOfRaw(
  benchmark: string,
  topology: string,
  records: number,
  { checksum }: Proof,
  raw: RawResult,
): Measurement {
  return {
    benchmark,
    topology,
    engine: 'raw',
    recordsPerSecond: Math.round(raw.recordsPerSecond),
    recordsPerCpuSecond: Math.round(raw.recordsPerCpuSecond),
    records,
    checksum,
    ...others(raw),
  };
}

export function others({
  foreignCores,
  stealCores,
  noisy,
}: Pick<LoadWindow, 'foreignCores' | 'stealCores' | 'noisy'>): Pick<
  Measurement,
  'foreignCores' | 'stealCores' | 'noisy'
> {
  return { foreignCores, stealCores, noisy };
}

/** With what our rate is of the peer's. */
export function withRatios(ours: Measurement, flink: Measurement | undefined): Measurement {
  if (flink === undefined) return ours;
  const { recordsPerSecond = NaN, recordsPerCpuSecond = NaN } = flink;
  return {
    ...ours,
    ratioToFlink: (ours.recordsPerSecond ?? NaN) / recordsPerSecond,
    ratioToFlinkPerCpu: (ours.recordsPerCpuSecond ?? NaN) / recordsPerCpuSecond,
  };
}

/** Beside a peer, the ratio is the target; alone, a rate of two workers is, if there is one. */
export function withTarget(ours: Measurement, targetPerSecond: number | undefined): Measurement {
  const ratioMin = FLINK_JOBS.get(ours.benchmark)?.ratioMin;
  if (ours.ratioToFlink !== undefined && ratioMin !== undefined) {
    return {
      ...ours,
      target: {
        text: `at least ${ratioMin} of Flink's rate`,
        met: ours.ratioToFlink >= ratioMin,
        ratioToFlinkMin: ratioMin,
      },
    };
  }
  if (targetPerSecond === undefined) return ours;
  return {
    ...ours,
    target: {
      text: `at least ${targetPerSecond.toLocaleString('en')} records/s`,
      met: (ours.recordsPerSecond ?? 0) >= targetPerSecond,
    },
  };
}
