/**
 * The demo's view of its job: on a terminal a few lines that are redrawn, elsewhere plain lines, one
 * every few seconds and one per event; with --json nothing.
 */
import { createLogUpdate } from 'log-update';
import picocolors from 'picocolors';
import type { CliContext } from '../cli-context.js';
import { formatBytes, formatCount, formatDuration, formatQuantity } from '../quantity.js';
import { renderTable } from '../table.js';
import type { DemoProgress } from './demo-progress.js';

const PLAIN_INTERVAL_MS = 2000;

export interface LiveView {
  show(progress: DemoProgress): void;
  /** Something that happened once: a line that stays. */
  event(text: string): void;
  /** Leaves the last figures standing. */
  close(): void;
}

export function createLiveView(
  context: CliContext,
  options: { readonly quiet: boolean },
): LiveView {
  if (options.quiet)
    return { show: () => undefined, event: () => undefined, close: () => undefined };
  return context.terminal === undefined
    ? new PlainView(context)
    : new TerminalView(context, context.terminal);
}

function eventTime(ms: number | null): string {
  // The last watermark is greater than any date: it says that all has been read.
  if (ms === null) return 'not yet';
  return ms > 8.64e15 ? 'end of input' : new Date(ms).toISOString().slice(11, 19);
}

function skew(progress: DemoProgress): string {
  const { watermarkSkewMs } = progress;
  if (watermarkSkewMs === null || watermarkSkewMs > 8.64e15) return '-';
  return formatDuration(watermarkSkewMs);
}

function checkpointText({ checkpointsCompleted, latestCheckpoint }: DemoProgress): string {
  if (latestCheckpoint === null) return `${checkpointsCompleted} completed`;
  const duration = formatDuration(latestCheckpoint.durationMs ?? 0);
  return `${checkpointsCompleted} completed, the last in ${duration} with ${formatBytes(latestCheckpoint.bytes)}`;
}

class TerminalView implements LiveView {
  readonly #context: CliContext;
  readonly #colors: ReturnType<typeof picocolors.createColors>;
  readonly #redraw: ReturnType<typeof createLogUpdate>;

  constructor(context: CliContext, terminal: NodeJS.WriteStream) {
    this.#context = context;
    this.#redraw = createLogUpdate(terminal);
    this.#colors = picocolors.createColors(context.color);
  }

  show(progress: DemoProgress): void {
    const { bold, cyan, dim, red, yellow } = this.#colors;
    const { job } = progress;
    const operators = job.vertices.flatMap((vertex) =>
      vertex.operators.map((operator, index) => ({ vertex, operator, head: index === 0 })),
    );
    const table = renderTable(
      operators,
      [
        { title: 'operator', value: (row) => `${row.head ? '' : '  '}${row.operator.name}` },
        { title: 'in', value: (row) => formatCount(row.operator.recordsIn), align: 'right' },
        { title: 'out', value: (row) => formatCount(row.operator.recordsOut), align: 'right' },
        {
          title: 'busy',
          value: (row) => (row.head ? `${Math.round(row.vertex.busyMsPerSecond / 10)}%` : ''),
          align: 'right',
        },
      ],
      this.#context,
    );
    const alerts = progress.latestAlerts.map(
      (alert) => `  ${red(alert.severity.padEnd(8))} ${alert.user}  ${alert.reason}`,
    );
    this.#redraw(
      [
        `${bold('fraud detection')}  ${job.status === 'RUNNING' ? cyan(job.status) : yellow(job.status)}` +
          `  attempt ${job.attempt}, ${formatQuantity(job.restarts, 'restart')}  ${dim(formatDuration(progress.elapsedMs))}`,
        `${bold(formatCount(progress.recordsPerSecond))} events/s, ${formatCount(progress.recordsRead)} read` +
          `  watermark ${eventTime(progress.watermarkMs)}, skew ${skew(progress)}`,
        `checkpoints  ${checkpointText(progress)}`,
        '',
        table,
        `alerts  ${formatCount(progress.alerts)} committed`,
        ...alerts,
      ].join('\n'),
    );
  }

  event(text: string): void {
    this.#redraw.clear();
    this.#context.print(`${text}\n`);
  }

  close(): void {
    this.#redraw.done();
  }
}

class PlainView implements LiveView {
  readonly #context: CliContext;
  #shownAtMs = -PLAIN_INTERVAL_MS;
  #alerts = 0;
  #checkpoint = 0;

  constructor(context: CliContext) {
    this.#context = context;
  }

  show(progress: DemoProgress): void {
    const { latestCheckpoint } = progress;
    if (latestCheckpoint !== null && latestCheckpoint.checkpointId > this.#checkpoint) {
      this.#checkpoint = latestCheckpoint.checkpointId;
      this.event(`checkpoint ${this.#checkpoint}: ${checkpointText(progress)}`);
    }
    if (progress.alerts > this.#alerts) {
      const latest = progress.latestAlerts.at(-1);
      const example = latest === undefined ? '' : `, such as ${latest.user}: ${latest.reason}`;
      this.event(`alerts: ${formatCount(progress.alerts)}${example}`);
      this.#alerts = progress.alerts;
    }
    if (progress.elapsedMs - this.#shownAtMs < PLAIN_INTERVAL_MS) return;
    this.#shownAtMs = progress.elapsedMs;
    const operators = progress.job.vertices
      .flatMap((vertex) => vertex.operators)
      .filter((operator) => operator.recordsIn + operator.recordsOut > 0)
      .map(
        (operator) => `${operator.name} ${formatCount(operator.recordsIn || operator.recordsOut)}`,
      );
    this.event(
      `${progress.job.status}: ${formatCount(progress.recordsPerSecond)} events/s, watermark ` +
        `${eventTime(progress.watermarkMs)} (skew ${skew(progress)}); records: ${operators.join(', ')}`,
    );
  }

  event(text: string): void {
    this.#context.print(`${text}\n`);
  }

  close(): void {
    this.#alerts = 0;
  }
}
