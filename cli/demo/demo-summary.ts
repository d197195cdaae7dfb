/** The end of the demo: what went in, what came out, and whether it is what it should be. */
import picocolors from 'picocolors';
import { formatCount, formatDuration } from '../quantity.js';
import type { FraudOutcome } from './demo-workload.js';

/** Field names are stable: scripts read them with --json. */
export interface DemoSummary extends FraudOutcome {
  /** Lines or records of the input. */
  readonly transactions: number;
  readonly checkpointsCompleted: number;
  readonly restarts: number;
  readonly killed: boolean;
  /**
   * From the kill until the first record after the restore was seen in the tasks' metrics. These are
   * reported now and then and polled, so the figure errs high, never low. Null when nothing was killed,
   * or the job ended before a new record was seen.
   */
  readonly recoveryMs: number | null;
  readonly seconds: number;
  /** Only from Kafka to Kafka: HOST:PORT of the broker. */
  readonly broker?: string;
}

/** Whether the committed output is exactly the reference's. */
export function isExact(summary: DemoSummary): boolean {
  return summary.missing === 0 && summary.duplicated === 0 && summary.different === 0;
}

/** @returns lines that end in "\n" */
export function renderSummary(
  summary: DemoSummary,
  nextCommands: readonly string[],
  options: { readonly color: boolean },
): string {
  const { bold, green, red } = picocolors.createColors(options.color);
  const percent = (share: number): string => `${(share * 100).toFixed(1)}%`;
  const difference = `missing ${summary.missing}, duplicated ${summary.duplicated}, different ${summary.different}`;
  const rows = [
    ['transactions in', formatCount(summary.transactions)],
    ['alerts out', formatCount(summary.alerts)],
    [
      'planted frauds',
      `${formatCount(summary.caught)} of ${formatCount(summary.plantedFrauds)} caught ` +
        `(precision ${percent(summary.precision)}, recall ${percent(summary.recall)})`,
    ],
    ['checkpoints', `${summary.checkpointsCompleted} completed`],
    [
      'restarts',
      `${summary.restarts}` +
        (summary.recoveryMs === null
          ? ''
          : `; stood still for ${formatDuration(summary.recoveryMs)} after a worker was killed`),
    ],
    ['time', formatDuration(summary.seconds * 1000)],
  ] as const;
  return [
    '',
    ...rows.map(([title, value]) => `${title.padEnd(16)}${value}`),
    `${'output'.padEnd(16)}${isExact(summary) ? green(difference) : red(difference)} against a single-threaded reference` +
      (summary.broker === undefined ? '' : ", as Kafka's own consumer reads it"),
    '',
    bold('next'),
    ...nextCommands.map((command) => `  ${command}`),
    '',
  ].join('\n');
}
