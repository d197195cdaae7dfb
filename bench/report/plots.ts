/** The report's rows as SVG plots, drawn by Vega: a facet for each benchmark, a bar for each engine. */
import { parse, View } from 'vega';
import { compile, type TopLevelSpec } from 'vega-lite';
import type { Engine, Measurement } from '../measurement.js';
import type { ResultRow } from './result-rows.js';

const ENGINES: readonly Engine[] = ['millrace', 'flink', 'raw'];
const COLORS = ['#1f6f8b', '#e07a3f', '#b9b9b9'];

interface Plot {
  /** Name of the file, without its folder. */
  readonly file: string;
  readonly title: string;
  readonly valueOf: (measurement: Measurement) => number | undefined;
}

const PLOTS: readonly Plot[] = [
  {
    file: 'records-per-second.svg',
    title: 'million records per second',
    valueOf: ({ recordsPerSecond }) => scaled(recordsPerSecond),
  },
  {
    file: 'records-per-cpu-second.svg',
    title: 'million records per CPU second',
    valueOf: ({ recordsPerCpuSecond }) => scaled(recordsPerCpuSecond),
  },
  {
    file: 'memory.svg',
    title: 'MB resident, all processes',
    valueOf: ({ rssBytesMax }) => scaled(rssBytesMax),
  },
];

interface Bar {
  readonly benchmark: string;
  readonly topology: string;
  readonly engine: Engine;
  readonly value: number;
}

/** SVG text by file name; benchmarks without a rate are left out. */
export async function plotsOf(rows: readonly ResultRow[]): Promise<ReadonlyMap<string, string>> {
  const rates = rows.filter(
    ({ engines }) => engines.get('millrace')?.recordsPerCpuSecond !== undefined,
  );
  return new Map(
    await Promise.all(PLOTS.map(async (plot) => [plot.file, await draw(plot, rates)] as const)),
  );
}

function draw({ title, valueOf }: Plot, rows: readonly ResultRow[]): Promise<string> {
  const bars = rows.flatMap(({ benchmark, topology, engines }) =>
    [...engines].flatMap(([engine, measurement]): readonly Bar[] => {
      const value = valueOf(measurement);
      return value === undefined ? [] : [{ benchmark, topology, engine, value }];
    }),
  );
  const benchmarks = [...new Set(rows.map(({ benchmark }) => benchmark))];
  const spec: TopLevelSpec = {
    title,
    data: { values: bars.map((bar) => ({ ...bar })) },
    facet: { field: 'benchmark', type: 'nominal', sort: benchmarks, title: null },
    columns: 4,
    spec: {
      width: 130,
      height: 120,
      mark: 'bar',
      encoding: {
        x: { field: 'topology', type: 'nominal', title: null, axis: { labelAngle: 0 } },
        xOffset: { field: 'engine', type: 'nominal', sort: [...ENGINES] },
        y: { field: 'value', type: 'quantitative', title: null },
        color: {
          field: 'engine',
          type: 'nominal',
          scale: { domain: [...ENGINES], range: COLORS },
        },
      },
    },
    resolve: { scale: { y: 'independent' } },
  };
  return new View(parse(compile(spec).spec), { renderer: 'none' }).toSVG();
}

function scaled(value: number | undefined): number | undefined {
  return value === undefined ? undefined : value / 1e6;
}
