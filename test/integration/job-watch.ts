/**
 * Watches a job over REST and remembers what it saw: the figures that a run without faults, without
 * records in flight or without checkpoints can't have. A coordinator that is away is waited for.
 */
import type { RestClient } from '../../api/rest/client.js';
import type { JobCheckpoints } from '../../api/rest/checkpoint-dto.js';
import { TERMINAL_STATUSES, type JobDetails } from '../../api/rest/job-dto.js';
import { isMillraceError } from '../../core/errors.js';
import { eventually } from './eventually.js';

export interface Observation {
  readonly job: JobDetails;
  readonly checkpoints: JobCheckpoints;
  /** Records that sources put out in this attempt, as far as reported. */
  readonly recordsRead: number;
}

export class JobWatch {
  readonly #client: RestClient;
  readonly jobId: string;
  readonly #completed = new Set<number>();
  /** Attempt -> records that its sources put out at least. */
  readonly #recordsRead = new Map<number, number>();
  readonly #failures = new Set<string>();

  constructor(client: RestClient, jobId: string) {
    this.#client = client;
    this.jobId = jobId;
  }

  /** Completed checkpoints seen, over all attempts and coordinators. */
  get checkpointsCompleted(): number {
    return this.#completed.size;
  }

  /** Sum over all attempts: what is above the input's size was read again. */
  get recordsReadInAll(): number {
    return [...this.#recordsRead.values()].reduce((sum, records) => sum + records, 0);
  }

  /** Codes of the failures seen, one for each attempt that failed. */
  get failures(): readonly string[] {
    return [...this.#failures].map((failure) => failure.split(' ')[1] ?? '');
  }

  recordsReadIn(attempt: number): number {
    return this.#recordsRead.get(attempt) ?? 0;
  }

  /**
   * Resolves with the first observation for which `holds` does.
   * @throws Error when the job ends before, or after three minutes
   */
  async until(what: string, holds: (seen: Observation) => boolean): Promise<Observation> {
    let last: Observation | undefined;
    const state = (): string => {
      const { status, attempt, failures, waitingFor } = last?.job ?? {};
      return JSON.stringify({ status, attempt, waitingFor, failure: failures?.at(-1) });
    };
    return eventually(
      () => `${what}; the job is ${state()}`,
      async () => {
        last = (await this.#observe()) ?? last;
        if (last === undefined || holds(last)) return last;
        if (!TERMINAL_STATUSES.has(last.job.status)) return undefined;
        throw new Error(`the job ended before ${what}: ${state()}`);
      },
    );
  }

  ended(): Promise<Observation> {
    return this.until('the end of the job', ({ job }) => TERMINAL_STATUSES.has(job.status));
  }

  async #observe(): Promise<Observation | undefined> {
    try {
      const checkpoints = await this.#client.checkpoints(this.jobId);
      const job = await this.#client.job(this.jobId);
      const recordsRead = job.vertices
        .flatMap(({ operators }) => operators)
        .filter(({ kind }) => kind === 'source')
        .reduce((sum, { recordsOut }) => sum + recordsOut, 0);
      for (const { checkpointId, status } of checkpoints.history) {
        if (status === 'COMPLETED') this.#completed.add(checkpointId);
      }
      for (const { attempt, code } of job.failures) this.#failures.add(`${attempt} ${code}`);
      this.#recordsRead.set(
        job.attempt,
        Math.max(recordsRead, this.#recordsRead.get(job.attempt) ?? 0),
      );
      return { job, checkpoints, recordsRead };
    } catch (error) {
      if (isMillraceError(error) && error.code === 'CLUSTER_UNREACHABLE') return undefined;
      throw error;
    }
  }
}
