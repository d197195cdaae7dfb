/**
 * Chooses, out of all results that were kept, what the report shows: for each benchmark and topology
 * one run, so that ratios are of one run, and the median of its repetitions. It reads no files.
 */
import { TOPOLOGIES, type Engine, type Measurement } from '../measurement.js';
import type { ResultsDocument } from '../results.js';

/** What a benchmark was called in results that were kept before. */
const FORMER_NAMES: ReadonlyMap<string, string> = new Map([
  ['exchange', 'passthrough'],
  ['state-cached', 'state-rocksdb'],
  ['state-uniform', 'state-quarter'],
  ['state-zipf', 'state-quarter-zipf'],
]);

export interface ResultRow {
  readonly benchmark: string;
  readonly topology: string;
  readonly takenAt: string;
  readonly commit: string;
  readonly cpu: string;
  /** By engine: the repetition that is the median by records per second, or else the middle one. */
  readonly engines: ReadonlyMap<Engine, Measurement>;
}

interface Run extends Omit<ResultRow, 'engines'> {
  readonly measurements: readonly Measurement[];
}

/** Rows by benchmark in the given order, those not named last; then by topology. */
export function chooseRows(
  documents: readonly ResultsDocument[],
  benchmarks: readonly string[],
): readonly ResultRow[] {
  const runs = new Map<string, Run[]>();
  for (const run of documents.flatMap(runsOf)) {
    const key = `${run.benchmark} ${run.topology}`;
    runs.set(key, [...(runs.get(key) ?? []), run]);
  }
  const rank = (list: readonly string[], name: string): number => {
    const at = list.indexOf(name);
    return at < 0 ? list.length : at;
  };
  return [...runs.values()]
    .flatMap((candidates) => newestOfTheBest(candidates))
    .map(({ measurements, ...run }) => ({ ...run, engines: mediansOf(measurements) }))
    .sort(
      (a, b) =>
        rank(benchmarks, a.benchmark) - rank(benchmarks, b.benchmark) ||
        a.benchmark.localeCompare(b.benchmark) ||
        rank(TOPOLOGIES, a.topology) - rank(TOPOLOGIES, b.topology),
    );
}

function runsOf(document: ResultsDocument): readonly Run[] {
  const runs = new Map<string, Run & { readonly measurements: Measurement[] }>();
  for (const measurement of document.measurements) {
    const benchmark = FORMER_NAMES.get(measurement.benchmark) ?? measurement.benchmark;
    const { topology } = measurement;
    const key = `${benchmark} ${topology}`;
    const run = runs.get(key) ?? {
      benchmark,
      topology,
      takenAt: document.takenAt,
      commit: document.commit,
      cpu: document.machine.cpu,
      measurements: [],
    };
    run.measurements.push(measurement);
    runs.set(key, run);
  }
  return [...runs.values()];
}

/** A quiet run beside the peer before a quiet one alone, before any other. */
function newestOfTheBest(candidates: readonly Run[]): readonly Run[] {
  const quality = ({ measurements }: Run): number => {
    if (measurements.some(({ noisy }) => noisy)) return 0;
    return measurements.some(({ engine }) => engine === 'flink') ? 2 : 1;
  };
  return candidates
    .toSorted((a, b) => quality(b) - quality(a) || b.takenAt.localeCompare(a.takenAt))
    .slice(0, 1);
}

function mediansOf(measurements: readonly Measurement[]): ReadonlyMap<Engine, Measurement> {
  const byEngine = new Map<Engine, Measurement[]>();
  for (const measurement of measurements) {
    byEngine.set(measurement.engine, [...(byEngine.get(measurement.engine) ?? []), measurement]);
  }
  return new Map(
    [...byEngine].flatMap(([engine, repetitions]) => {
      const sorted = repetitions.toSorted(
        (a, b) => (a.recordsPerSecond ?? 0) - (b.recordsPerSecond ?? 0),
      );
      const median = sorted[Math.floor((sorted.length - 1) / 2)];
      return median === undefined ? [] : [[engine, median] as const];
    }),
  );
}
