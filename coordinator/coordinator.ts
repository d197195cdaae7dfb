/**
 * The coordinator: wires its parts together and starts them in order: lead, recover the jobs, let
 * workers in, answer requests. Everything from outside is passed in, so that tests and the embedded
 * cluster run the same code. It must never read the environment.
 */
import type { Logger } from 'pino';
import type { ClusterOverview } from '../api/rest/cluster-dto.js';
import type { Clock, Random } from '../core/clock.js';
import { MillraceError } from '../core/errors.js';
import type { BlobStore } from '../storage/blob-store.js';
import { LeaderEpoch } from '../storage/leader-epoch.js';
import type { MetaStore } from '../storage/meta-store.js';
import { checkBindAddress, type BindAddress } from './bind-address.js';
import { BundleStore } from './bundle-store.js';
import { CheckpointCollector } from './checkpoint-collector.js';
import { CheckpointWriter } from './checkpoint-writer.js';
import { CoordinatorMetrics } from './coordinator-metrics.js';
import { removeDiscovery, writeDiscovery } from './discovery-file.js';
import { Dispatcher } from './dispatcher.js';
import { JobStore } from './job-store.js';
import { COORDINATOR_LIMITS } from './limits.js';
import { clusterOverview, createRestAnswers } from './rest-answers.js';
import { startRestServer } from './rest-server.js';
import { Scheduler } from './scheduler.js';
import type { Placement } from './slot-placement.js';
import { SessionService } from './session-service.js';
import { WorkerLeases } from './worker-leases.js';
import { WorkerRegistry, type WorkerListener } from './worker-registry.js';

export interface CoordinatorOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly metaStore: MetaStore;
  readonly blobStore: BlobStore;
  /** The blob store's location as workers open it; without credentials. */
  readonly checkpointStorage: string;
  readonly log: Logger;
  /** Where coordinator.json goes. */
  readonly dataFolder: string;
  readonly pid: number;
  readonly restAddress: BindAddress;
  readonly rpcAddress: BindAddress;
  /** Listen beyond loopback although there is neither TLS nor authentication. */
  readonly exposeWithoutAuthentication: boolean;
  readonly heartbeatIntervalMs: number;
  readonly heartbeatTimeoutMs: number;
  /** How long a new job waits for its slots before it fails. */
  readonly slotRequestTimeoutMs: number;
  /** How long a job that has run before waits: for workers to come back. */
  readonly recoverySlotRequestTimeoutMs: number;
  /** How long slots that came or went must stay so before a job is moved because of it. */
  readonly slotStabilizationMs: number;
  /** Least time between two changes of a job's parallelism that slots which come cause. */
  readonly rescaleCooldownMs: number;
  readonly placement: Placement;
  /** Ended jobs that are kept for looking at; the oldest go. */
  readonly endedJobsMax: number;
}

export const COORDINATOR_DEFAULTS = {
  heartbeatIntervalMs: 1_000,
  heartbeatTimeoutMs: 10_000,
  slotRequestTimeoutMs: 30_000,
  recoverySlotRequestTimeoutMs: 300_000,
  slotStabilizationMs: 1_000,
  rescaleCooldownMs: 10_000,
  placement: 'spread',
  endedJobsMax: 100,
} as const;

export interface RunningCoordinator {
  /** `host:port` each. */
  readonly restAddress: string;
  readonly rpcAddress: string;
  readonly epoch: number;
  /** Resolves with the reason when another coordinator has taken over; this one should close. */
  readonly superseded: Promise<string>;
  /** Jobs stay as they are, for the next coordinator; the stores are the caller's to close. */
  close(): Promise<void>;
}

/** @throws MillraceError PORT_IN_USE, USAGE, STORAGE_LOCKED, STORAGE_UNAVAILABLE, STORAGE_CORRUPT */
export async function startCoordinator(options: CoordinatorOptions): Promise<RunningCoordinator> {
  const { clock, random, metaStore, blobStore, log, exposeWithoutAuthentication } = options;
  checkBindAddress('the REST API', options.restAddress, exposeWithoutAuthentication);
  checkBindAddress('the gRPC server', options.rpcAddress, exposeWithoutAuthentication);
  const leader = await LeaderEpoch.campaign(metaStore, { candidate: random.id(), clock });
  const closers: (() => unknown)[] = [() => leader.resign()];
  const close = once(async () => {
    for (const closer of closers.reverse()) {
      await Promise.resolve(closer()).catch((error: unknown) => {
        log.warn({ err: error }, 'closing the coordinator');
      });
    }
  });
  try {
    const clusterId = await clusterIdOf(metaStore, leader, random);
    const startedAtMs = clock.monotonic();
    const scheduler = new Scheduler(clock, options.placement);
    const bundles = new BundleStore(blobStore);
    const leases = new WorkerLeases(metaStore, log, options.heartbeatTimeoutMs);
    const overview = (): ClusterOverview =>
      clusterOverview(
        {
          clusterId,
          epoch: leader.epoch,
          uptimeMs: clock.monotonic() - startedAtMs,
          workers: registry.workers().length,
          jobsRunning: dispatcher.jobsRunning,
        },
        scheduler,
      );
    const metrics = new CoordinatorMetrics(overview);
    const listener: WorkerListener = {
      workerRegistered: (worker) => {
        leases.take(worker);
        dispatcher.workerRegistered(worker);
      },
      workerReady: (worker, freeSlots) => dispatcher.workerReady(worker, freeSlots),
      workerLost: (worker, reason) => {
        leases.revoke(worker.workerId);
        dispatcher.workerLost(worker, reason);
      },
      workerMessage: (worker, message) => dispatcher.workerMessage(worker, message),
    };
    const registry = new WorkerRegistry({ clock, ...heartbeatOf(options) }, listener);
    let stepDown: (reason: string) => void = () => undefined;
    const superseded = new Promise<string>((resolve) => (stepDown = resolve));
    void leader.lost.then(stepDown);
    const dispatcher = new Dispatcher({
      endedJobsMax: options.endedJobsMax,
      bundles,
      random,
      services: {
        clock,
        random,
        log,
        meta: metaStore,
        leader,
        jobs: new JobStore(metaStore, leader),
        writer: new CheckpointWriter(blobStore),
        collector: new CheckpointCollector(blobStore, metaStore, leader),
        scheduler,
        registry,
        metrics,
        checkpointStorage: options.checkpointStorage,
        scaling: {
          stabilizationMs: options.slotStabilizationMs,
          cooldownMs: options.rescaleCooldownMs,
          slotWaitMs: options.slotRequestTimeoutMs,
          recoverySlotWaitMs: options.recoverySlotRequestTimeoutMs,
        },
        superseded: stepDown,
      },
    });
    closers.push(() => scheduler.close());
    closers.push(() => dispatcher.close());
    await dispatcher.recover();
    const unfinishedBeforeMs = clock.now() - COORDINATOR_LIMITS.unfinishedPutAgeMs;
    void blobStore.removeUnfinished('', unfinishedBeforeMs).catch((error: unknown) => {
      log.warn({ err: error }, 'removing what was never written to its end');
    });
    const sessions = await SessionService.listen(options.rpcAddress, {
      registry,
      bundles,
      clock,
      log,
      clusterId,
      epoch: leader.epoch,
      ...heartbeatOf(options),
    });
    closers.push(() => sessions.service.close());
    closers.push(() => leases.close());
    closers.push(() =>
      registry.close(
        new MillraceError('CLUSTER_UNREACHABLE', 'the coordinator is closing; register again'),
      ),
    );
    const rest = await startRestServer(
      options.restAddress,
      createRestAnswers({ dispatcher, registry, scheduler, bundles, meta: metaStore, overview }),
      metrics,
    );
    closers.push(() => rest.close());
    await writeDiscovery(options.dataFolder, {
      rest: rest.address,
      rpc: sessions.address,
      pid: options.pid,
      epoch: leader.epoch,
    });
    closers.push(() => removeDiscovery(options.dataFolder, leader.epoch));
    log.info(
      { rest: rest.address, rpc: sessions.address, epoch: leader.epoch, clusterId },
      'coordinator ready',
    );
    return {
      restAddress: rest.address,
      rpcAddress: sessions.address,
      epoch: leader.epoch,
      superseded,
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

/** Chosen by the first coordinator of a meta store, and kept. */
async function clusterIdOf(meta: MetaStore, leader: LeaderEpoch, random: Random): Promise<string> {
  const key = 'cluster-id';
  const known = await meta.get(key);
  if (known !== undefined) return known.value;
  const clusterId = random.id();
  await leader.put(key, clusterId, { ifAbsent: true });
  return clusterId;
}

function heartbeatOf(
  options: CoordinatorOptions,
): Pick<CoordinatorOptions, 'heartbeatIntervalMs' | 'heartbeatTimeoutMs'> {
  const { heartbeatIntervalMs, heartbeatTimeoutMs } = options;
  return { heartbeatIntervalMs, heartbeatTimeoutMs };
}

/** Runs `act` at most once; later calls get the first one's promise. */
function once<T>(act: () => Promise<T>): () => Promise<T> {
  let result: Promise<T> | undefined;
  return () => (result ??= act());
}
