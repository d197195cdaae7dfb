/**
 * The report's rows as SVG plots, drawn by Vega: rates as a facet for each benchmark with a bar for each engine,
 * and costs by the number of subtasks as lines.
 */
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

/** What is drawn by the number of subtasks, microseconds of CPU. */
const COSTS = [
  { figure: 'cpuMicrosPerRecord', title: 'of a record' },
  { figure: 'barrierCpuMicrosPerSubtask', title: 'of a barrier, each subtask' },
  { figure: 'barrierCpuMicrosPerChannel', title: 'of a barrier, each channel' },
];

interface CostPoint {
  readonly cost: string;
  readonly subtasks: number;
  /** Whether all of the slots were there, or one for all. */
  readonly slots: string;
  readonly micros: number;
}

/** SVG text by file name; benchmarks without a rate are left out, and so are costs where none was simulated. */
export async function plotsOf(rows: readonly ResultRow[]): Promise<ReadonlyMap<string, string>> {
  const rates = rows.filter(
    ({ engines }) => engines.get('millrace')?.recordsPerCpuSecond !== undefined,
  );
  const plots = new Map(
    await Promise.all(PLOTS.map(async (plot) => [plot.file, await draw(plot, rates)] as const)),
  );
  const costs = costPoints(rows);
  if (costs.length > 0) plots.set('cost-by-subtasks.svg', await drawCosts(costs));
  return plots;
}

function costPoints(rows: readonly ResultRow[]): readonly CostPoint[] {
  return rows.flatMap(({ topology, engines }) => {
    const figures = engines.get('millrace')?.figures;
    const subtasks = figures?.['subtasks'];
    if (figures === undefined || subtasks === undefined) return [];
    const slots = topology.startsWith('one') ? 'one for all' : 'all';
    return COSTS.flatMap(({ figure, title }): readonly CostPoint[] => {
      const micros = figures[figure];
      return micros === undefined ? [] : [{ cost: title, subtasks, slots, micros }];
    });
  });
}

function drawCosts(points: readonly CostPoint[]): Promise<string> {
  return toSvg({
    title: 'microseconds of CPU, by number of subtasks',
    data: { values: points.map((point) => ({ ...point })) },
    facet: {
      field: 'cost',
      type: 'nominal',
      sort: COSTS.map(({ title }) => title),
      title: null,
    },
    columns: 3,
    spec: {
      width: 190,
      height: 150,
      mark: { type: 'line', point: true },
      encoding: {
        x: {
          field: 'subtasks',
          type: 'quantitative',
          title: null,
          scale: { type: 'log', base: 2 },
        },
        y: { field: 'micros', type: 'quantitative', title: null, scale: { type: 'log' } },
        color: { field: 'slots', type: 'nominal', scale: { range: COLORS.slice(0, 2) } },
      },
    },
    resolve: { scale: { y: 'independent' } },
  });
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
  return toSvg(spec);
}

function toSvg(spec: TopLevelSpec): Promise<string> {
  return new View(parse(compile(spec).spec), { renderer: 'none' }).toSVG();
}

function scaled(value: number | undefined): number | undefined {
  return value === undefined ? undefined : value / 1e6;
}
