/** Two clients of one broker that did the same work, one after the other, as two measurements with their ratio. */
import { isDeepStrictEqual } from 'node:util';
import type { Measurement } from '../measurement.js';
import type { StretchResult } from '../stretch.js';
import { others } from './throughput.js';

export interface ClientResult extends StretchResult {
  readonly records: number;
  /** What the records came to; names that both have must be equal. */
  readonly sums: Readonly<Record<string, number>>;
}

export interface ClientRow {
  readonly benchmark: string;
  /** What was done. */
  readonly title: string;
  /** The least share of kafkajs' rate. */
  readonly ratioMin: number;
}

/** @throws Error when they did not do the same: the row is void */
export function besideKafkajs(
  { benchmark, title, ratioMin }: ClientRow,
  ours: ClientResult,
  kafkajs: ClientResult,
): readonly Measurement[] {
  for (const [name, sum] of Object.entries(ours.sums)) {
    const theirs = kafkajs.sums[name];
    if (!isDeepStrictEqual([ours.records, sum], [kafkajs.records, theirs])) {
      throw new Error(
        `${benchmark}, ${title}: ${ours.records} records with ${name} ${sum}, and by kafkajs ` +
          `${kafkajs.records} with ${String(theirs)}`,
      );
    }
  }
  const ratio = ours.recordsPerSecond / kafkajs.recordsPerSecond;
  const row = { benchmark, topology: title };
  return [
    {
      ...row,
      engine: 'millrace',
      ...ratesOf(ours),
      ratioToKafkajs: ratio,
      ratioToKafkajsPerCpu: ours.recordsPerCpuSecond / kafkajs.recordsPerCpuSecond,
      target: { text: `at least ${ratioMin} of kafkajs' rate`, met: ratio >= ratioMin },
    },
    { ...row, engine: 'kafkajs', ...ratesOf(kafkajs) },
  ];
}

function ratesOf(result: ClientResult) {
  return {
    recordsPerSecond: Math.round(result.recordsPerSecond),
    recordsPerCpuSecond: Math.round(result.recordsPerCpuSecond),
    records: result.records,
    ...others(result),
  };
}
