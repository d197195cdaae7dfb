/** The report's rows as Markdown tables: rates beside the peer's, and figures that are no rates. */
import type { Measurement } from '../measurement.js';
import type { ResultRow } from './result-rows.js';

/** Two tables; a measurement with `figures` is in the second one. */
export function tablesOf(rows: readonly ResultRow[]): string {
  const rates = rows.filter((row) => oursOf(row)?.recordsPerCpuSecond !== undefined);
  const others = rows.filter((row) => oursOf(row)?.figures !== undefined);
  return [
    table(
      [
        'benchmark',
        'topology',
        'records/s (per CPU second)',
        'Flink, or kafkajs',
        'of it (per CPU)',
        'must reach',
        'of raw (per CPU)',
        'memory, Flink’s',
        "others' cores",
        'commit',
      ],
      rates.map(rateCells),
    ),
    table(
      [
        'benchmark',
        'topology',
        'figures',
        'Flink',
        'of Flink',
        "others' cores",
        'must reach',
        'commit',
      ],
      others.map(figureCells),
    ),
  ].join('\n');
}

function oursOf(row: ResultRow): Measurement | undefined {
  return row.engines.get('millrace');
}

function rateCells(row: ResultRow): readonly string[] {
  const ours = oursOf(row);
  const flink = row.engines.get('flink');
  const peer = flink ?? row.engines.get('kafkajs');
  return [
    row.benchmark,
    row.topology,
    pair(ours?.recordsPerSecond, ours?.recordsPerCpuSecond, millions),
    pair(peer?.recordsPerSecond, peer?.recordsPerCpuSecond, millions),
    pair(
      ours?.ratioToFlink ?? ours?.ratioToKafkajs,
      ours?.ratioToFlinkPerCpu ?? ours?.ratioToKafkajsPerCpu,
      ratio,
    ),
    targetOf(ours),
    pair(ours?.ratioToRaw, ours?.ratioToRawPerCpu, ratio),
    [ours?.rssBytesMax, flink?.rssBytesMax]
      .filter((bytes) => bytes !== undefined)
      .map(megabytes)
      .join(', '),
    othersOf(row),
    origin(row),
  ];
}

function figureCells(row: ResultRow): readonly string[] {
  const ours = oursOf(row);
  return [
    row.benchmark,
    row.topology,
    figuresOf(ours?.figures),
    figuresOf(row.engines.get('flink')?.figures),
    ratiosOf(ours?.figureRatiosToFlink),
    othersOf(row),
    targetOf(ours),
    origin(row),
  ];
}

function targetOf(measurement: Measurement | undefined): string {
  const target = measurement?.target;
  return target === undefined ? '' : `${target.text}: ${target.met ? 'met' : 'missed'}`;
}

function figuresOf(figures: Measurement['figures'] = {}): string {
  return Object.entries(figures)
    .map(([name, value]) => `${name} ${figure(name, value)}`)
    .join('; ');
}

function ratiosOf(ratios: Measurement['figureRatiosToFlink'] = {}): string {
  return Object.entries(ratios)
    .map(([name, value]) => `${name} ${ratio(value)}`)
    .join('; ');
}

function othersOf({ engines }: ResultRow): string {
  return Math.max(...[...engines.values()].map(({ foreignCores }) => foreignCores)).toFixed(2);
}

function origin({ commit, takenAt }: ResultRow): string {
  return `${commit}, ${takenAt.slice(0, 10)}`;
}

function pair(
  value: number | undefined,
  perCpu: number | undefined,
  format: (value: number) => string,
): string {
  if (value === undefined) return '';
  return perCpu === undefined ? format(value) : `${format(value)} (${format(perCpu)})`;
}

function millions(value: number): string {
  return `${(value / 1e6).toFixed(2)} M`;
}

function ratio(value: number): string {
  return value.toFixed(2);
}

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(0)} MB`;
}

/** A figure by the unit that its name ends in or carries. */
function figure(name: string, value: number): string {
  if (/Bytes/.test(name)) return value < 1e6 ? `${(value / 1e3).toFixed(0)} KB` : megabytes(value);
  if (Number.isInteger(value)) return String(value);
  return value < 10 ? value.toFixed(2) : value.toFixed(0);
}

function table(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |\n`;
  return line(header) + line(header.map(() => '---')) + rows.map(line).join('');
}
