/** What every job master is given: the coordinator's parts, and how it is set up. Types only. */
import type { Logger } from 'pino';
import type { Clock, Random } from '../core/clock.js';
import type { LeaderEpoch } from '../storage/leader-epoch.js';
import type { MetaStore } from '../storage/meta-store.js';
import type { CheckpointWriter } from './checkpoint-writer.js';
import type { CoordinatorMetrics } from './coordinator-metrics.js';
import type { JobStore } from './job-store.js';
import type { Scheduler } from './scheduler.js';
import type { WorkerRegistry } from './worker-registry.js';

export interface JobServices {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly meta: MetaStore;
  readonly leader: LeaderEpoch;
  readonly jobs: JobStore;
  readonly writer: CheckpointWriter;
  readonly scheduler: Scheduler;
  readonly registry: WorkerRegistry;
  readonly metrics: CoordinatorMetrics;
  /** The blob store as workers open it. */
  readonly checkpointStorage: string;
  /** How long a new job waits for its slots before it fails. */
  readonly slotRequestTimeoutMs: number;
  /** How long a job that has run before waits: for workers to come back. */
  readonly recoverySlotRequestTimeoutMs: number;
  /** This coordinator's epoch is over; it must step down. */
  readonly superseded: (reason: string) => void;
}
