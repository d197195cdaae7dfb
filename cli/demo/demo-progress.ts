/** What the demo shows of its job: figures of the REST API, brought together at each poll. */
import type { CheckpointDetails } from '../../api/rest/checkpoint-dto.js';
import type { RestClient } from '../../api/rest/client.js';
import type { JobDetails } from '../../api/rest/job-dto.js';
import type { Clock } from '../../core/clock.js';
import { recordsRead } from '../job-follower.js';
import { RecordRate } from '../record-rate.js';
import type { AlertLine } from './alert-line.js';
import type { AlertFeed } from './demo-workload.js';

/** Throughput is taken over at least this long, since tasks report now and then. */
const RATE_INTERVAL_MS = 1000;

export interface DemoProgress {
  readonly job: JobDetails;
  readonly elapsedMs: number;
  /** In the current attempt. */
  readonly recordsRead: number;
  readonly recordsPerSecond: number;
  /** Event time that every task has reached; ms since the epoch. */
  readonly watermarkMs: number | null;
  /** Event time between the task that is furthest and the one that is last; ms. */
  readonly watermarkSkewMs: number | null;
  readonly checkpointsCompleted: number;
  readonly latestCheckpoint: CheckpointDetails | null;
  readonly alerts: number;
  readonly latestAlerts: readonly AlertLine[];
}

export class ProgressReader {
  readonly #client: RestClient;
  readonly #jobId: string;
  readonly #alerts: AlertFeed;
  readonly #clock: Clock;
  readonly #startedAtMs: number;
  readonly #rate: RecordRate;

  constructor(client: RestClient, jobId: string, alerts: AlertFeed, clock: Clock) {
    this.#client = client;
    this.#jobId = jobId;
    this.#alerts = alerts;
    this.#clock = clock;
    this.#startedAtMs = clock.monotonic();
    this.#rate = new RecordRate(RATE_INTERVAL_MS, this.#startedAtMs);
  }

  /** @throws MillraceError what the API answers */
  async read(): Promise<DemoProgress> {
    const [job, checkpoints] = await Promise.all([
      this.#client.job(this.#jobId),
      this.#client.checkpoints(this.#jobId),
      this.#alerts.read(),
    ]);
    const records = recordsRead(job);
    const watermarks = job.vertices.flatMap((vertex) =>
      vertex.subtasks.flatMap((subtask) => subtask.watermarkMs ?? []),
    );
    const watermarkMs = watermarks.length === 0 ? null : Math.min(...watermarks);
    return {
      job,
      elapsedMs: this.#clock.monotonic() - this.#startedAtMs,
      recordsRead: records,
      recordsPerSecond: this.#rate.measure(records, this.#clock.monotonic()),
      watermarkMs,
      watermarkSkewMs: watermarkMs === null ? null : Math.max(...watermarks) - watermarkMs,
      checkpointsCompleted: checkpoints.counts.completed,
      latestCheckpoint: checkpoints.latestCompleted,
      alerts: this.#alerts.count,
      latestAlerts: this.#alerts.latest,
    };
  }
}
