/**
 * The common course of the benchmarks that measure records per second: warm up, watch, stop at a
 * barrier, then let the raw loop do the same records and compare its sums with the tallies.
 */
import { isDeepStrictEqual } from 'node:util';
import { BenchCluster } from '../bench-cluster.js';
import type { Measurement, RunOptions, Topology } from '../measurement.js';
import { printProfile } from '../profile-split.js';
import { runRawLoop } from '../raw-loop.js';
import { rateBetween, readTallies } from '../tallies.js';

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
  /** Of two workers with one slot. */
  readonly targetPerSecond?: number;
}

/** One measurement for each topology. */
export async function measureThroughput<C>(
  options: ThroughputOptions<C>,
  runOptions: RunOptions,
): Promise<Measurement[]> {
  const measurements: Measurement[] = [];
  for (const topology of runOptions.topologies) {
    measurements.push(await measure(options, topology, runOptions));
  }
  return measurements;
}

function measure<C>(
  options: ThroughputOptions<C>,
  topology: Topology,
  { seconds, warmUpSeconds, profile, note }: RunOptions,
): Promise<Measurement> {
  const { benchmark } = options;
  const [workers = 1, slots = 1] = topology.split('x').map(Number);
  const shape = { workers, slots, ...(profile ? { profileAfterMs: warmUpSeconds * 1000 } : {}) };
  return BenchCluster.with(shape, async (cluster) => {
    note(`${benchmark} ${topology}: ${warmUpSeconds} s to warm up, then ${seconds} s`);
    const jobId = await cluster.submit(options.jobFile);
    await cluster.watch(warmUpSeconds);
    const load = await cluster.watch(seconds);
    await cluster.checkRunning(jobId);
    const rate = await rateBetween(cluster.tallyFolder, load.fromMs, load.toMs);
    await cluster.stop(jobId);
    const proof = options.prove(await readTallies<C>(cluster.tallyFolder));
    await cluster.close();
    const gcSeconds = await cluster.gcSeconds(load);
    if (profile) await printProfile(cluster.probeFolder, rate, note);
    note(`${benchmark} ${topology}: the raw loop does the same records`);
    const raw = await runRawLoop(options.rawLoop ?? benchmark, proof.counts);
    const expected = options.rawSums === undefined ? raw.sums : options.rawSums(raw.sums);
    if (!isDeepStrictEqual(expected, proof.sums)) {
      throw new Error(
        `${benchmark} ${topology}: the tallies are not those of the input: ` +
          `${JSON.stringify(proof.sums)} instead of ${JSON.stringify(expected)}`,
      );
    }
    const perCpu = (rate * ((load.toMs - load.fromMs) / 1000)) / load.cpuSeconds;
    const targetPerSecond = topology === '2x1' ? options.targetPerSecond : undefined;
    return {
      benchmark,
      topology,
      engine: 'millrace',
      recordsPerSecond: Math.round(rate),
      recordsPerCpuSecond: Math.round(perCpu),
      cpuSeconds: load.cpuSeconds,
      rssBytesMax: load.rssBytesMax,
      gcShare: gcSeconds / load.cpuSeconds,
      records: proof.counts.reduce((sum, count) => sum + count, 0),
      checksum: proof.checksum,
      rawRecordsPerSecond: Math.round(raw.recordsPerSecond),
      ratioToRaw: rate / raw.recordsPerSecond,
      ratioToRawPerCpu: perCpu / raw.recordsPerCpuSecond,
      foreignCores: load.foreignCores,
      noisy: load.noisy,
      ...(targetPerSecond === undefined
        ? {}
        : {
            target: {
              text: `at least ${targetPerSecond / 1e6} M records/s`,
              met: rate >= targetPerSecond,
            },
          }),
    };
  });
}
