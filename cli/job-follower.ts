/**
 * Follows a job to its end over REST and tells what changes, a line each: status, restarts and
 * their causes, checkpoints, throughput. A coordinator that is away for a while (it restarts, or a
 * new one takes over) is waited for; the job itself is never touched.
 */
import type { RestClient } from '../api/rest/client.js';
import { TERMINAL_STATUSES, type JobDetails, type JobFailure } from '../api/rest/job-dto.js';
import { isMillraceError } from '../core/errors.js';
import { pause, type CliContext } from './cli-context.js';
import { userFrames } from './error-report.js';
import { describeParallelism } from './parallelism.js';
import { formatBytes, formatCount, formatDuration } from './quantity.js';

const POLL_INTERVAL_MS = 250;
const THROUGHPUT_INTERVAL_MS = 5000;
const UNREACHABLE_MAX_MS = 60_000;

/** Records that entered the job so far in this attempt. */
export function recordsRead(job: JobDetails): number {
  return job.vertices
    .flatMap((vertex) => vertex.operators)
    .filter((operator) => operator.kind === 'source')
    .reduce((sum, operator) => sum + operator.recordsOut, 0);
}

/** With the parallelism where that isn't the desired one, or on its way to another. */
function describeStatus(job: JobDetails): string {
  const { status, attempt, waitingFor, scaling } = job;
  const parts = [`attempt ${attempt}`];
  if (waitingFor !== null) parts.push(`waits for ${waitingFor}`);
  else if ((scaling?.why ?? null) !== null) parts.push(`parallelism ${describeParallelism(job)}`);
  return `${status} (${parts.join(', ')})`;
}

class ProgressLines {
  readonly #context: CliContext;
  #status: string | undefined;
  /** Attempt and code of the failures that were told. */
  #told: ReadonlySet<string> = new Set();
  #checkpoint = 0;
  #records = 0;
  #recordsAtMs: number;

  constructor(context: CliContext) {
    this.#context = context;
    this.#recordsAtMs = context.clock.monotonic();
  }

  showJob(job: JobDetails): void {
    this.#showFailures(job.failures);
    const status = describeStatus(job);
    if (status !== this.#status) {
      this.#status = status;
      this.#context.note(`${status}\n`);
    }
    const records = recordsRead(job);
    const sinceMs = this.#context.clock.monotonic() - this.#recordsAtMs;
    if (sinceMs >= THROUGHPUT_INTERVAL_MS) {
      const rate = Math.max(0, records - this.#records) / (sinceMs / 1000);
      this.#context.note(`${formatCount(records)} records read, ${formatCount(rate)}/s\n`);
      this.#records = records;
      this.#recordsAtMs += sinceMs;
    }
  }

  /** The list holds the latest ones only, so it can't be counted through. */
  #showFailures(failures: readonly JobFailure[]): void {
    const listed = new Set<string>();
    for (const { attempt, code, message, operator, stack } of failures) {
      // Several subtasks often fail of one cause, which is told once; REST has them all.
      const cause = `${attempt} ${code}`;
      const isTold = this.#told.has(cause) || listed.has(cause);
      listed.add(cause);
      if (isTold) continue;
      this.#context.note(`failure: ${message}\n`);
      if (operator !== null && !message.includes(operator)) {
        this.#context.note(`    in operator "${operator}"\n`);
      }
      for (const frame of userFrames(stack ?? '')) this.#context.note(`${frame}\n`);
    }
    this.#told = listed;
  }

  async showCheckpoints(client: RestClient, jobId: string): Promise<void> {
    const { history } = await client.checkpoints(jobId);
    for (const checkpoint of [...history].reverse()) {
      if (checkpoint.checkpointId <= this.#checkpoint || checkpoint.status === 'IN_PROGRESS')
        continue;
      this.#checkpoint = checkpoint.checkpointId;
      const outcome =
        checkpoint.status === 'COMPLETED'
          ? `completed in ${formatDuration(checkpoint.durationMs ?? 0)}, ${formatBytes(checkpoint.bytes)}`
          : `failed: ${checkpoint.failure ?? 'no reason given'}`;
      this.#context.note(`${checkpoint.kind} ${checkpoint.checkpointId} ${outcome}\n`);
    }
  }
}

/**
 * @returns the job's last details, or undefined when interrupted first
 * @throws MillraceError CLUSTER_UNREACHABLE when no coordinator answers for a minute
 */
export async function followJob(
  context: CliContext,
  client: RestClient,
  jobId: string,
): Promise<JobDetails | undefined> {
  const lines = new ProgressLines(context);
  let unreachableSinceMs: number | undefined;
  while (!context.interrupted.aborted) {
    try {
      const job = await client.job(jobId);
      await lines.showCheckpoints(client, jobId);
      lines.showJob(job);
      unreachableSinceMs = undefined;
      if (TERMINAL_STATUSES.has(job.status)) return job;
    } catch (error) {
      if (!isMillraceError(error) || error.code !== 'CLUSTER_UNREACHABLE') throw error;
      const nowMs = context.clock.monotonic();
      if (unreachableSinceMs === undefined) {
        unreachableSinceMs = nowMs;
        context.note('the coordinator does not answer; waiting for it to return\n');
      }
      if (nowMs - unreachableSinceMs > UNREACHABLE_MAX_MS) throw error;
    }
    await pause(context, POLL_INTERVAL_MS);
  }
  return undefined;
}
