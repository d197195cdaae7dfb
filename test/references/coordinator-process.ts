/**
 * One life of a coordinator, as far as snapshots go: the product's dispatcher, job masters, scheduler
 * and registry, on stores that outlive it. Without gRPC, HTTP and bundles; time is the event loop's.
 */
import pino from 'pino';
import { BundleStore, type StoredBundle } from '../../coordinator/bundle-store.js';
import type { CheckpointCollector } from '../../coordinator/checkpoint-collector.js';
import { CheckpointWriter } from '../../coordinator/checkpoint-writer.js';
import { CoordinatorMetrics } from '../../coordinator/coordinator-metrics.js';
import { Dispatcher } from '../../coordinator/dispatcher.js';
import { JobStore } from '../../coordinator/job-store.js';
import { Scheduler } from '../../coordinator/scheduler.js';
import {
  WorkerRegistry,
  type FromWorker,
  type WorkerSession,
} from '../../coordinator/worker-registry.js';
import type { Random } from '../../core/clock.js';
import { BUNDLE_ENTRY, BUNDLE_FORMAT_VERSION } from '../../core/bundle.js';
import type { CheckpointConfig } from '../../core/stream-graph.js';
import { ENGINE_VERSION } from '../../core/version.js';
import { LeaderEpoch } from '../../storage/leader-epoch.js';
import { exampleGraph } from '../bundle-fixture.js';
import { SimulatedProcess, type EventLoop } from '../simulation/event-loop.js';
import type { DurableStores } from './durable-stores.js';
import { MAX_PARALLELISM, type Coordinator, type StandInWorker } from './stand-in-worker.js';

const NEVER_MS = 1_000_000_000;
export const INTERVAL_MS = 1_000;
export const TIMEOUT_MS = 400;

/** A bundle's id says how its job is configured. */
export type Retention = Pick<CheckpointConfig, 'retained' | 'onCancel'>;

export function bundleIdOf(retention: Retention): string {
  return JSON.stringify(retention);
}

class ConfiguredBundles extends BundleStore {
  override open(bundleId: string): Promise<StoredBundle> {
    const streamGraph = exampleGraph({
      maxParallelism: MAX_PARALLELISM,
      checkpoint: {
        intervalMs: INTERVAL_MS,
        timeoutMs: TIMEOUT_MS,
        minPauseMs: 0,
        tolerableFailures: 2,
        alignmentTimeoutMs: null,
        ...(JSON.parse(bundleId) as Retention),
      },
      restart: { kind: 'fixedDelay', attempts: 1_000_000, delayMs: 10 },
    });
    const manifest = {
      formatVersion: BUNDLE_FORMAT_VERSION,
      engineVersion: ENGINE_VERSION,
      jobName: streamGraph.jobName,
      params: {},
      streamGraph,
      entry: BUNDLE_ENTRY,
      entrySha256: '',
      files: [],
    };
    return Promise.resolve({ bundleId, manifest, files: new Map() });
  }

  override discard(): Promise<void> {
    return Promise.resolve();
  }
}

export class CoordinatorProcess implements Coordinator {
  readonly process: SimulatedProcess;
  readonly dispatcher: Dispatcher;
  readonly #registry: WorkerRegistry;
  readonly #session: WorkerSession;

  private constructor(
    process: SimulatedProcess,
    leader: LeaderEpoch,
    options: CoordinatorProcessOptions,
  ) {
    const { loop, stores, worker, random, endedJobsMax, Collector } = options;
    const { meta, blobs } = stores.of(process);
    const clock = loop.clockOf(process);
    this.process = process;
    const scheduler = new Scheduler(clock, 'spread');
    this.#registry = new WorkerRegistry(
      { clock, heartbeatIntervalMs: NEVER_MS, heartbeatTimeoutMs: NEVER_MS },
      {
        workerRegistered: (one) => this.dispatcher.workerRegistered(one),
        workerReady: (one, freeSlots) => this.dispatcher.workerReady(one, freeSlots),
        workerLost: (one, reason) => this.dispatcher.workerLost(one, reason),
        workerMessage: (one, message) => this.dispatcher.workerMessage(one, message),
      },
    );
    this.#session = {
      send: (message) => loop.schedule(0.5, undefined, () => worker.receive(this, message)),
      close: () => undefined,
    };
    this.dispatcher = new Dispatcher({
      endedJobsMax,
      bundles: new ConfiguredBundles(blobs),
      random,
      services: {
        clock,
        random,
        log: pino({ enabled: false }),
        meta,
        leader,
        jobs: new JobStore(meta, leader),
        writer: new CheckpointWriter(blobs),
        collector: new Collector(blobs, meta, leader),
        scheduler,
        registry: this.#registry,
        metrics: new CoordinatorMetrics(() => {
          throw new Error('nobody reads the metrics here');
        }),
        checkpointStorage: 'none:',
        scaling: {
          stabilizationMs: 50,
          cooldownMs: 2 * INTERVAL_MS,
          slotWaitMs: NEVER_MS,
          recoverySlotWaitMs: NEVER_MS,
        },
        superseded: () => undefined,
      },
    });
  }

  /** Leads, recovers the jobs, and lets the worker in. */
  static async start(
    name: string,
    options: CoordinatorProcessOptions,
  ): Promise<CoordinatorProcess> {
    const { loop, stores, worker } = options;
    const process = new SimulatedProcess(name);
    const leader = await LeaderEpoch.campaign(stores.of(process).meta, {
      candidate: 'coordinator',
      clock: loop.clockOf(process),
    });
    const coordinator = new CoordinatorProcess(process, leader, options);
    await coordinator.dispatcher.recover();
    worker.join(coordinator);
    coordinator.#registry.register(worker.description, coordinator.#session);
    return coordinator;
  }

  get alive(): boolean {
    return this.process.state === 'alive';
  }

  receive(message: FromWorker): void {
    this.#registry.receive('w1', this.#session, message);
  }
}

export interface CoordinatorProcessOptions {
  readonly loop: EventLoop;
  readonly stores: DurableStores;
  readonly worker: StandInWorker;
  readonly random: Random;
  readonly endedJobsMax: number;
  readonly Collector: typeof CheckpointCollector;
}
