/**
 * The coordinator's metrics in Prometheus' form, with Flink's meaning. One registry per coordinator,
 * so that several can live in one process; gauges are read when they are scraped.
 */
import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { CheckpointKind } from '../api/rest/checkpoint-dto.js';
import type { ClusterOverview } from '../api/rest/cluster-dto.js';
import type { CheckpointSize } from '../core/pending-checkpoint.js';
import type { MetricsSource } from './rest-server.js';

const DURATION_BUCKETS_SECONDS = [0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100, 300];

export class CoordinatorMetrics implements MetricsSource {
  readonly #registry = new Registry();
  readonly #restarts = new Counter({
    name: 'millrace_job_restarts_total',
    help: 'Restarts of a job since this coordinator has it.',
    labelNames: ['job'],
    registers: [this.#registry],
  });
  readonly #failures = new Counter({
    name: 'millrace_job_failures_total',
    help: 'Failures of attempts, by error code.',
    labelNames: ['job', 'code'],
    registers: [this.#registry],
  });
  readonly #rescales = new Counter({
    name: 'millrace_job_rescales_total',
    help: 'Changes of parallelism or place of a job since this coordinator has it.',
    labelNames: ['job'],
    registers: [this.#registry],
  });
  readonly #downtime = new Gauge({
    name: 'millrace_last_rescale_downtime_seconds',
    help: 'Time without output of the last change: from the end of one attempt until the next ran.',
    labelNames: ['job'],
    registers: [this.#registry],
  });
  readonly #checkpoints = new Counter({
    name: 'millrace_checkpoints_total',
    help: 'Checkpoints and savepoints that ended, by outcome.',
    labelNames: ['job', 'kind', 'outcome'],
    registers: [this.#registry],
  });
  readonly #duration = new Histogram({
    name: 'millrace_checkpoint_duration_seconds',
    help: 'From the trigger of a checkpoint to its completion.',
    labelNames: ['job'],
    buckets: DURATION_BUCKETS_SECONDS,
    registers: [this.#registry],
  });
  readonly #size = new Gauge({
    name: 'millrace_last_checkpoint_size_bytes',
    help: 'Bytes of all files that the last completed checkpoint names.',
    labelNames: ['job'],
    registers: [this.#registry],
  });
  readonly #checkpointed = new Gauge({
    name: 'millrace_last_checkpoint_checkpointed_bytes',
    help: 'Bytes of the files that were written for the last completed checkpoint.',
    labelNames: ['job'],
    registers: [this.#registry],
  });

  readonly #unaligned = new Counter({
    name: 'millrace_checkpoints_unaligned_total',
    help: 'Completed checkpoints whose barriers overtook queued records.',
    labelNames: ['job'],
    registers: [this.#registry],
  });
  readonly #inFlight = new Gauge({
    name: 'millrace_last_checkpoint_in_flight_bytes',
    help: 'Bytes of in-flight data in the last completed checkpoint.',
    labelNames: ['job'],
    registers: [this.#registry],
  });

  constructor(overview: () => ClusterOverview) {
    const gauge = (
      name: string,
      help: string,
      read: (cluster: ClusterOverview) => number,
    ): void => {
      const registered: Gauge = new Gauge({
        name,
        help,
        registers: [this.#registry],
        collect: (): void => registered.set(read(overview())),
      });
    };
    gauge('millrace_workers_registered', 'Workers with a session.', ({ workers }) => workers);
    gauge('millrace_slots', 'Slots of all workers.', ({ slotsTotal }) => slotsTotal);
    gauge('millrace_slots_free', 'Slots that nothing occupies.', ({ slotsFree }) => slotsFree);
    gauge('millrace_jobs_running', 'Jobs that have not ended.', ({ jobsRunning }) => jobsRunning);
    gauge('millrace_coordinator_epoch', 'Epoch of this coordinator.', ({ epoch }) => epoch);
    gauge(
      'millrace_coordinator_uptime_seconds',
      'Since the coordinator started.',
      ({ uptimeMs }) => uptimeMs / 1000,
    );
  }

  get contentType(): string {
    return this.#registry.contentType;
  }

  metrics(): Promise<string> {
    return this.#registry.metrics();
  }

  restarted(job: string): void {
    this.#restarts.inc({ job });
  }

  rescaled(job: string, downtimeMs: number): void {
    this.#rescales.inc({ job });
    this.#downtime.set({ job }, downtimeMs / 1000);
  }

  attemptFailed(job: string, code: string): void {
    this.#failures.inc({ job, code });
  }

  checkpointCompleted(
    job: string,
    kind: CheckpointKind,
    durationMs: number,
    { bytes, checkpointedBytes }: CheckpointSize,
  ): void {
    this.#checkpoints.inc({ job, kind, outcome: 'completed' });
    this.#duration.observe({ job }, durationMs / 1000);
    this.#size.set({ job }, bytes);
    this.#checkpointed.set({ job }, checkpointedBytes);
  }

  checkpointInFlight(job: string, unaligned: boolean, inFlightBytes: number): void {
    if (unaligned) this.#unaligned.inc({ job });
    this.#inFlight.set({ job }, inFlightBytes);
  }

  checkpointFailed(job: string, kind: CheckpointKind): void {
    this.#checkpoints.inc({ job, kind, outcome: 'failed' });
  }
}
