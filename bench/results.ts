/** Keeps measurements with what they were measured on, and prints one for people. */
import { execFile } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import { cpus, release, totalmem } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { ENGINE_VERSION } from '../core/version.js';
import type { Measurement } from './measurement.js';

export const RESULTS_FOLDER = path.join('bench', 'results');

async function commit(): Promise<string> {
  const run = promisify(execFile);
  try {
    const { stdout: hash } = await run('git', ['rev-parse', '--short', 'HEAD']);
    const { stdout: changes } = await run('git', ['status', '--porcelain', '--untracked-files=no']);
    return `${hash.trim()}${changes === '' ? '' : ' with changes'}`;
  } catch {
    return 'unknown';
  }
}

/** What a file of results holds. */
export interface ResultsDocument {
  readonly takenAt: string;
  readonly commit: string;
  readonly engineVersion: string;
  readonly node: string;
  readonly machine: {
    readonly cpu: string;
    readonly cores: number;
    readonly memoryBytes: number;
    readonly system: string;
  };
  readonly measurements: readonly Measurement[];
}

/** @returns the file's path */
export async function saveResults(measurements: readonly Measurement[]): Promise<string> {
  const takenAt = new Date().toISOString();
  const names = [...new Set(measurements.map(({ benchmark }) => benchmark))].join('+');
  const file = path.join(
    RESULTS_FOLDER,
    `${takenAt.replaceAll(':', '').slice(0, 17)}-${names}.json`,
  );
  const document: ResultsDocument = {
    takenAt,
    commit: await commit(),
    engineVersion: ENGINE_VERSION,
    node: process.version,
    machine: {
      cpu: cpus()[0]?.model ?? 'unknown',
      cores: cpus().length,
      memoryBytes: totalmem(),
      system: `${process.platform} ${release()}`,
    },
    measurements,
  };
  await mkdir(RESULTS_FOLDER, { recursive: true });
  await writeFile(file, `${JSON.stringify(document, null, 2)}\n`);
  return file;
}

export function formatMeasurement(measurement: Measurement): string {
  const { benchmark, topology, engine, figures, target } = measurement;
  const millions = (perSecond: number): string => `${(perSecond / 1e6).toFixed(2)} M/s`;
  const parts = [`${benchmark} ${topology}${engine === 'millrace' ? '' : ` ${engine}`}:`];
  const { recordsPerSecond, recordsPerCpuSecond, ratioToRaw, ratioToRawPerCpu } = measurement;
  if (recordsPerSecond !== undefined) parts.push(millions(recordsPerSecond));
  if (recordsPerCpuSecond !== undefined) parts.push(`(${millions(recordsPerCpuSecond)} per CPU)`);
  if (ratioToRaw !== undefined) {
    parts.push(`${ratioToRaw.toFixed(3)} of raw (${(ratioToRawPerCpu ?? 0).toFixed(3)} per CPU)`);
  }
  const { ratioToFlink, ratioToFlinkPerCpu } = measurement;
  if (ratioToFlink !== undefined) {
    parts.push(
      `${ratioToFlink.toFixed(3)} of Flink (${(ratioToFlinkPerCpu ?? 0).toFixed(3)} per CPU)`,
    );
  }
  if (measurement.gcShare !== undefined)
    parts.push(`GC ${(measurement.gcShare * 100).toFixed(1)}%`);
  if (measurement.rssBytesMax !== undefined) {
    parts.push(`RSS ${(measurement.rssBytesMax / 1e6).toFixed(0)} MB`);
  }
  for (const [name, value] of Object.entries(figures ?? {})) {
    const ratio = measurement.figureRatiosToFlink?.[name];
    parts.push(
      `${name} ${Number.isInteger(value) ? value : value.toFixed(3)}` +
        (ratio === undefined ? '' : ` (${ratio.toFixed(3)} of Flink's)`),
    );
  }
  parts.push(
    `others ${measurement.foreignCores.toFixed(2)} cores${measurement.noisy ? ' (noisy)' : ''}`,
  );
  if (target !== undefined) parts.push(`target ${target.text}: ${target.met ? 'met' : 'MISSED'}`);
  return parts.join('  ');
}
