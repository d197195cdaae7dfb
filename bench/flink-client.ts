/** The calls of Flink's REST API that a measurement needs. */
import { readFile } from 'node:fs/promises';
import path from 'node:path';

const TIMEOUT_MS = 60_000;

export interface FlinkJob {
  readonly state: string;
  readonly vertices: readonly { readonly status: string }[];
}

export interface FlinkCheckpoint {
  readonly id: number;
  readonly status: string;
  readonly is_savepoint: boolean;
  /** From its trigger until it was complete, ms. */
  readonly end_to_end_duration: number;
  /** Written by this one; what earlier ones wrote is not counted. */
  readonly checkpointed_size: number;
}

export class FlinkClient {
  readonly #base: string;

  /** @param address HOST:PORT of the REST API */
  constructor(address: string) {
    this.#base = `http://${address}`;
  }

  /** Slots of all workers that are registered. */
  async slots(): Promise<number> {
    const { 'slots-total': slots } = await this.#call<{ 'slots-total': number }>('/overview');
    return slots;
  }

  /** @returns the id under which the jar can be run */
  async uploadJar(file: string): Promise<string> {
    const form = new FormData();
    form.append('jarfile', new Blob([await readFile(file)]), path.basename(file));
    const { filename } = await this.#call<{ filename: string }>('/jars/upload', {
      method: 'POST',
      body: form,
    });
    return path.basename(filename);
  }

  /** @returns the job's id */
  async runJar(
    jar: string,
    entryClass: string,
    args: readonly string[],
    parallelism: number,
  ): Promise<string> {
    const { jobid } = await this.#post<{ jobid: string }>(`/jars/${jar}/run`, {
      entryClass,
      programArgsList: args,
      parallelism,
    });
    return jobid;
  }

  job(jobId: string): Promise<FlinkJob> {
    return this.#call<FlinkJob>(`/jobs/${jobId}`);
  }

  /** What failed the job, or an empty text. */
  async failure(jobId: string): Promise<string> {
    const { exceptionHistory } = await this.#call<{
      readonly exceptionHistory: { readonly entries: readonly { readonly stacktrace: string }[] };
    }>(`/jobs/${jobId}/exceptions`);
    return exceptionHistory.entries.map(({ stacktrace }) => stacktrace).join('\n');
  }

  /** The latest ones. */
  async checkpoints(jobId: string): Promise<readonly FlinkCheckpoint[]> {
    const { history } = await this.#call<{ history: readonly FlinkCheckpoint[] }>(
      `/jobs/${jobId}/checkpoints`,
    );
    return history;
  }

  /** Asks for one, of the kind that is configured; it is taken later. */
  async triggerCheckpoint(jobId: string): Promise<void> {
    await this.#post(`/jobs/${jobId}/checkpoints`, { checkpointType: 'CONFIGURED' });
  }

  /** Stops the sources behind a savepoint; the job finishes later. */
  async stop(jobId: string, folder: string): Promise<void> {
    await this.#post(`/jobs/${jobId}/stop`, { targetDirectory: folder, drain: false });
  }

  #post<R>(route: string, body: object): Promise<R> {
    return this.#call<R>(route, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
  }

  async #call<R>(route: string, options: RequestInit = {}): Promise<R> {
    const response = await fetch(`${this.#base}${route}`, {
      ...options,
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    if (!response.ok) {
      throw new Error(`flink: ${route} answered ${response.status}: ${await response.text()}`);
    }
    return (await response.json()) as R;
  }
}
