/** What every job master is given: the coordinator's parts, and how it is set up. Types only. */
import type { Logger } from 'pino';
import type { Clock, Random } from '../core/clock.js';
import type { ScalingConfig } from '../core/scaling-protocol.js';
import type { LeaderEpoch } from '../storage/leader-epoch.js';
import type { MetaStore } from '../storage/meta-store.js';
import type { CheckpointCollector } from './checkpoint-collector.js';
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
  readonly collector: CheckpointCollector;
  readonly scheduler: Scheduler;
  readonly registry: WorkerRegistry;
  readonly metrics: CoordinatorMetrics;
  /** The blob store as workers open it. */
  readonly checkpointStorage: string;
  /** When jobs take slots that come, and how long they wait for those they can't do without. */
  readonly scaling: ScalingConfig;
  /** This coordinator's epoch is over; it must step down. */
  readonly superseded: (reason: string) => void;
}
