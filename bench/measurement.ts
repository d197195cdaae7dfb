/** What a benchmark reports: one measurement is one line of JSON. Names are stable; units stand in them. */
import type { FlinkBuild } from './flink-build.js';

/** Workers x slots of each. */
export type Topology = '2x1' | '1x2';
export const TOPOLOGIES: readonly Topology[] = ['2x1', '1x2'];

export interface RunOptions {
  /** How long the measured part lasts, s. */
  readonly seconds: number;
  readonly warmUpSeconds: number;
  /** Those to be measured, for benchmarks that know several. */
  readonly topologies: readonly Topology[];
  /** Keep CPU profiles of all processes. */
  readonly profile: boolean;
  /** The peer to be measured beside, for benchmarks that have a job for it. */
  readonly flink?: FlinkBuild;
  /** Plant a leak in each slot's thread, to see it caught; 0: none. */
  readonly leakBytesPerSecond: number;
  readonly note: (text: string) => void;
}

/** `raw` is a loop of the same work in one thread, without a runtime; `kafkajs` a client without one. */
export type Engine = 'millrace' | 'flink' | 'kafkajs' | 'raw';

export interface Measurement {
  readonly benchmark: string;
  /** Workers x slots of each. */
  readonly topology: string;
  readonly engine: Engine;
  /** Of a peer: its version and that of what it runs on. */
  readonly engineVersion?: string;
  readonly recordsPerSecond?: number;
  readonly recordsPerCpuSecond?: number;
  /** Of coordinator and workers over the measured part. */
  readonly cpuSeconds?: number;
  /** Of all processes together, at its highest. */
  readonly rssBytesMax?: number;
  /** Share of CPU time that threads of the workers stood in garbage collection, 0..1. */
  readonly gcShare?: number;
  readonly records?: number;
  readonly checksum?: string;
  /** Records per second of one thread that does the same work without a runtime. */
  readonly rawRecordsPerSecond?: number;
  /** recordsPerSecond / rawRecordsPerSecond. */
  readonly ratioToRaw?: number;
  /** recordsPerCpuSecond / the raw loop's records per CPU second. */
  readonly ratioToRawPerCpu?: number;
  /** recordsPerSecond / Flink's, on the same topology in the same run. */
  readonly ratioToFlink?: number;
  /** recordsPerCpuSecond / Flink's. */
  readonly ratioToFlinkPerCpu?: number;
  /** recordsPerSecond / that of kafkajs, on the same topic in the same run. */
  readonly ratioToKafkajs?: number;
  /** recordsPerCpuSecond / that of kafkajs. */
  readonly ratioToKafkajsPerCpu?: number;
  /** Cores that others used during the measured part: other processes, and the host for other machines. */
  readonly foreignCores: number;
  /** The host's part of it. */
  readonly stealCores?: number;
  /** More than FOREIGN_CORES_MAX were used by others: compare ratios only. */
  readonly noisy: boolean;
  /** Figures of their own, with units in their names. */
  readonly figures?: Readonly<Record<string, number>>;
  /** Of times and sizes in `figures` that Flink has too: ours / Flink's, less is better. */
  readonly figureRatiosToFlink?: Readonly<Record<string, number>>;
  /** Readings over time: `seconds:value ...`, units in the names. */
  readonly series?: Readonly<Record<string, string>>;
  /** The benchmark's target and whether it was met. */
  readonly target?: Target;
}

export interface Target {
  readonly text: string;
  readonly met: boolean;
  /** The least share of Flink's rate, as the report draws it. */
  readonly ratioToFlinkMin?: number;
  /** The most that figures may be, by name. */
  readonly figuresMax?: Readonly<Record<string, number>>;
}

export const FOREIGN_CORES_MAX = 0.05;

export interface Benchmark {
  readonly name: string;
  readonly description: string;
  /** Seconds measured unless told. */
  readonly seconds: number;
  readonly run: (options: RunOptions) => Promise<readonly Measurement[]>;
}
