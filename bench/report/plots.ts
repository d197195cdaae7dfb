/**
 * The report's rows as SVG plots, drawn by Vega: a facet for each benchmark or figure with a bar for each engine,
 * and costs by the number of subtasks as lines.
 */
import { parse, View } from 'vega';
import { compile, type TopLevelSpec } from 'vega-lite';
import type { Engine, Measurement } from '../measurement.js';
import type { ResultRow } from './result-rows.js';

const ENGINES: readonly Engine[] = ['millrace', 'flink', 'kafkajs', 'raw'];
const COLORS = ['#1f6f8b', '#e07a3f', '#7a5195', '#b9b9b9'];

/** What is to be reached is a black tick. */
const BOUND_COLOR = '#000000';

interface Bar {
  /** One drawing each, in order. */
  readonly facet: string;
  readonly topology: string;
  readonly engine: Engine;
  readonly value: number;
  /** What our value must reach or stay below; the tick is drawn once. */
  readonly bound?: number;
}

interface Plot {
  /** Name of the file, without its folder. */
  readonly file: string;
  readonly title: string;
  readonly barsOf: (row: ResultRow) => readonly Bar[];
}

const PLOTS: readonly Plot[] = [
  {
    file: 'records-per-second.svg',
    title: 'million records per second, and what must be reached beside Flink',
    barsOf: (row) => {
      const least = row.engines.get('millrace')?.target?.ratioToFlinkMin;
      const theirs = row.engines.get('flink')?.recordsPerSecond;
      const bound = least === undefined || theirs === undefined ? undefined : least * theirs;
      return rateBars(row, ({ recordsPerSecond }) => recordsPerSecond, bound);
    },
  },
  {
    file: 'records-per-cpu-second.svg',
    title: 'million records per CPU second',
    barsOf: (row) => rateBars(row, ({ recordsPerCpuSecond }) => recordsPerCpuSecond),
  },
  {
    file: 'memory.svg',
    title: 'MB resident, all processes',
    barsOf: (row) => rateBars(row, ({ rssBytesMax }) => rssBytesMax),
  },
  {
    file: 'times-and-sizes.svg',
    title: 'ms or MB beside Flink, less is better, and what must be reached',
    barsOf: costBars,
  },
];

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

/** SVG text by file name; a plot of nothing is left out. */
export async function plotsOf(rows: readonly ResultRow[]): Promise<ReadonlyMap<string, string>> {
  const plots = PLOTS.map((plot) => ({ plot, bars: rows.flatMap(plot.barsOf) }));
  const drawn = new Map(
    await Promise.all(
      plots
        .filter(({ bars }) => bars.length > 0)
        .map(async ({ plot, bars }) => [plot.file, await draw(plot, bars)] as const),
    ),
  );
  const costs = costPoints(rows);
  if (costs.length > 0) drawn.set('cost-by-subtasks.svg', await drawCosts(costs));
  return drawn;
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

/** In millions; benchmarks without a rate have no bars. */
function rateBars(
  { benchmark, topology, engines }: ResultRow,
  valueOf: (measurement: Measurement) => number | undefined,
  bound?: number,
): readonly Bar[] {
  if (engines.get('millrace')?.recordsPerCpuSecond === undefined) return [];
  return [...engines].flatMap(([engine, measurement]): readonly Bar[] => {
    const value = valueOf(measurement);
    if (value === undefined) return [];
    const bar = { facet: benchmark, topology, engine, value: value / 1e6 };
    return engine === 'millrace' && bound !== undefined ? [{ ...bar, bound: bound / 1e6 }] : [bar];
  });
}

/** Figures that Flink has too. */
function costBars({ benchmark, topology, engines }: ResultRow): readonly Bar[] {
  const ours = engines.get('millrace');
  return Object.keys(ours?.figureRatiosToFlink ?? {}).flatMap((name) => {
    const unit = name.includes('Bytes') ? 1e6 : 1;
    const bound = ours?.target?.figuresMax?.[name];
    return [...engines].flatMap(([engine, { figures }]): readonly Bar[] => {
      const value = figures?.[name];
      if (value === undefined) return [];
      const bar = { facet: `${benchmark} ${name}`, topology, engine, value: value / unit };
      return engine === 'millrace' && bound !== undefined
        ? [{ ...bar, bound: bound / unit }]
        : [bar];
    });
  });
}

function draw({ title }: Plot, bars: readonly Bar[]): Promise<string> {
  const x = { field: 'topology', type: 'nominal', title: null, axis: { labelAngle: 0 } } as const;
  const spec: TopLevelSpec = {
    title,
    data: { values: bars.map((bar) => ({ ...bar })) },
    facet: {
      field: 'facet',
      type: 'nominal',
      sort: [...new Set(bars.map(({ facet }) => facet))],
      title: null,
    },
    columns: 4,
    spec: {
      width: 130,
      height: 120,
      layer: [
        {
          mark: 'bar',
          encoding: {
            x,
            xOffset: { field: 'engine', type: 'nominal', sort: [...ENGINES] },
            y: { field: 'value', type: 'quantitative', title: null },
            color: {
              field: 'engine',
              type: 'nominal',
              scale: { domain: [...ENGINES], range: COLORS },
            },
          },
        },
        {
          transform: [{ filter: 'isValid(datum.bound)' }],
          mark: { type: 'tick', orient: 'horizontal', thickness: 2, color: BOUND_COLOR },
          encoding: { x, y: { field: 'bound', type: 'quantitative', title: null } },
        },
      ],
    },
    resolve: { scale: { x: 'independent', xOffset: 'independent', y: 'independent' } },
  };
  return toSvg(spec);
}

function toSvg(spec: TopLevelSpec): Promise<string> {
  return new View(parse(compile(spec).spec), { renderer: 'none' }).toSVG();
}
