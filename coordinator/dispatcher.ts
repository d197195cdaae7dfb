/**
 * The dispatcher: accepts bundles and submissions, keeps one job master per job, recovers the jobs
 * of an earlier coordinator, and hands each worker's word to the job it is about. It must never
 * decide anything about a running job: that is its job master's.
 */
import type { Logger } from 'pino';
import type { JobSummary, SubmitJobRequest } from '../api/rest/job-dto.js';
import { TERMINAL_STATUSES } from '../api/rest/job-dto.js';
import type { Random } from '../core/clock.js';
import type { KnownCheckpoints } from '../core/checkpoint-protocol.js';
import { isOwned } from '../core/checkpoint-retention.js';
import { MillraceError, serializeError, toMillraceError } from '../core/errors.js';
import { createJobGraph } from '../core/job-graph.js';
import type { StreamGraph } from '../core/stream-graph.js';
import type { MetaTxn } from '../storage/meta-store.js';
import type { BundleStore, StoredBundle } from './bundle-store.js';
import { CheckpointIdCounter } from './checkpoint-id-counter.js';
import { CompletedCheckpointStore } from './completed-checkpoint-store.js';
import { ExclusiveOutputs } from './exclusive-outputs.js';
import { cleanUpEnded, forgetJob } from './job-cleanup.js';
import { JobMaster } from './job-master.js';
import type { JobRecord } from './job-record.js';
import type { JobServices } from './job-services.js';
import { summarize } from './job-view.js';
import { COORDINATOR_LIMITS } from './limits.js';
import { RestoreOrigins } from './restore-origins.js';
import { listPendingSavepoints } from './savepoint-record.js';
import type { FromWorker, WorkerDescription, WorkerListener } from './worker-registry.js';

/** A job as the dispatcher knows it; the master is missing once an earlier coordinator ended it. */
export interface DispatchedJob {
  readonly record: JobRecord;
  readonly master: JobMaster | undefined;
}

export interface DispatcherOptions {
  readonly services: JobServices;
  readonly bundles: BundleStore;
  readonly random: Random;
  readonly endedJobsMax: number;
}

export class Dispatcher implements WorkerListener {
  readonly #services: JobServices;
  readonly #bundles: BundleStore;
  readonly #random: Random;
  readonly #log: Logger;
  readonly #endedJobsMax: number;
  readonly #origins: RestoreOrigins;
  readonly #outputs = new ExclusiveOutputs();
  readonly #masters = new Map<string, JobMaster>();
  /** Jobs that an earlier coordinator ended, oldest first. */
  readonly #ended = new Map<string, JobRecord>();
  /** Submissions under way; they count as jobs, and need their bundles. */
  readonly #submitting = new Set<SubmitJobRequest>();
  /** Workers that leave and were told that nothing more will be moved away from them. */
  readonly #released = new Set<string>();
  /** One at a time: whoever starts from a savepoint or checkpoint, or takes one away. */
  #snapshots: Promise<unknown> = Promise.resolve();

  constructor({ services, bundles, random, endedJobsMax }: DispatcherOptions) {
    this.#services = services;
    this.#bundles = bundles;
    this.#random = random;
    this.#endedJobsMax = endedJobsMax;
    this.#log = services.log;
    services.scheduler.onChange(() => this.#resourcesChanged());
    this.#origins = new RestoreOrigins(services, {
      masters: () => this.#masters.values(),
      find: (jobId) => this.find(jobId),
    });
  }

  get jobsRunning(): number {
    return [...this.#masters.values()].filter((master) => !master.isEnded).length;
  }

  /** Takes up the jobs that the meta store knows. @throws MillraceError STORAGE_* */
  async recover(): Promise<void> {
    for (const record of await this.#services.jobs.load()) {
      if (TERMINAL_STATUSES.has(record.status)) {
        this.#ended.set(record.jobId, record);
        continue;
      }
      this.#log.info({ jobId: record.jobId, job: record.jobName }, 'job is being recovered');
      await this.#recoverJob(record);
    }
    await this.#forgetOldJobs();
    const pending = await listPendingSavepoints(this.#services.meta);
    const left = pending.filter(({ jobId }) => !this.#masters.has(jobId));
    void this.#cleanUp(new Set(left.map(({ savepointId }) => savepointId)));
  }

  /** @throws MillraceError those of the bundle, the graph and the restore point; STORAGE_* */
  async submit(request: SubmitJobRequest): Promise<JobSummary> {
    if (this.jobsRunning + this.#submitting.size >= COORDINATOR_LIMITS.jobsMax) {
      throw new MillraceError(
        'JOB_STATE_CONFLICT',
        `the cluster runs ${this.jobsRunning} jobs, as many as it takes; cancel one first`,
      );
    }
    this.#submitting.add(request);
    try {
      if (request.fromSavepoint === undefined) return await this.#submit(request);
      return await this.#exclusively(() => this.#submit(request));
    } finally {
      this.#submitting.delete(request);
    }
  }

  /**
   * Deletes a savepoint.
   * @throws MillraceError CHECKPOINT_NOT_FOUND, JOB_STATE_CONFLICT naming the job that needs or owns
   *   it, STORAGE_*
   */
  disposeSavepoint(savepointId: string): Promise<void> {
    return this.#exclusively(() => this.#origins.dispose(savepointId));
  }

  /** Newest first. */
  jobs(): readonly JobSummary[] {
    const records = [
      ...this.#ended.values(),
      ...[...this.#masters.values()].map(({ record }) => record),
    ];
    return records.map(summarize).sort((left, right) => right.submittedAtMs - left.submittedAtMs);
  }

  /**
   * @param idOrName a job's id, or its name: of the one that runs, else of the one that ended last
   * @throws MillraceError JOB_NOT_FOUND, JOB_STATE_CONFLICT when several running jobs bear the name
   */
  find(idOrName: string): DispatchedJob {
    const byId = this.#masters.get(idOrName);
    if (byId !== undefined) return { record: byId.record, master: byId };
    const ended = this.#ended.get(idOrName);
    if (ended !== undefined) return { record: ended, master: undefined };
    const named = [...this.#masters.values()].filter(({ record }) => record.jobName === idOrName);
    const running = named.filter((master) => !master.isEnded);
    if (running.length > 1) {
      throw new MillraceError(
        'JOB_STATE_CONFLICT',
        `${running.length} running jobs are named "${idOrName}"; give the id of one: ` +
          running.map(({ record }) => record.jobId).join(', '),
      );
    }
    const master = running[0] ?? named.at(-1);
    if (master !== undefined) return { record: master.record, master };
    const record = [...this.#ended.values()].filter(({ jobName }) => jobName === idOrName).at(-1);
    if (record !== undefined) return { record, master: undefined };
    throw new MillraceError(
      'JOB_NOT_FOUND',
      `there is no job "${idOrName}"; 'millrace jobs' lists those there are`,
    );
  }

  workerRegistered(worker: WorkerDescription): void {
    this.#log.info({ worker }, 'worker registered');
    // It may still run what was taken from it while it was away.
    for (const { record, staleAttempt } of this.#masters.values()) {
      if (staleAttempt === 0) continue;
      const value = { jobId: record.jobId, attempt: staleAttempt };
      this.#services.registry.send(worker.workerId, { $case: 'cancelAttempt', value });
    }
  }

  workerReady(worker: WorkerDescription, freeSlots: number): void {
    this.#services.scheduler.addWorker(worker, freeSlots);
  }

  workerLost(worker: WorkerDescription, reason: string): void {
    this.#log.warn({ workerId: worker.workerId, reason }, 'worker lost');
    this.#released.delete(worker.workerId);
    this.#services.scheduler.removeWorker(worker.workerId);
    for (const master of this.#masters.values()) master.workerLost(worker.workerId, reason);
  }

  workerMessage(worker: WorkerDescription, message: FromWorker): void {
    if (message.$case === 'register' || message.$case === 'heartbeat') return;
    if (message.$case === 'leaving') return this.#leaving(worker);
    const { attempt } = message.value;
    if (attempt === undefined) return;
    if (message.$case === 'slotState' && message.value.released) {
      const { jobId, attempt: number } = attempt;
      this.#services.scheduler.release(worker.workerId, jobId, number, message.value.slice);
    }
    const master = this.#masters.get(attempt.jobId);
    if (master !== undefined) return master.receive(worker, attempt, message);
    // A worker that was away while the job ended, and the coordinator that knew of it, too.
    if (message.$case !== 'metrics') return;
    const value = { jobId: attempt.jobId, attempt: attempt.attempt };
    this.#services.registry.send(worker.workerId, { $case: 'cancelAttempt', value });
  }

  /** Stops deciding about jobs; they go on under the next coordinator. */
  async close(): Promise<void> {
    await Promise.all([...this.#masters.values()].map((master) => master.suspend()));
  }

  #leaving({ workerId }: WorkerDescription): void {
    this.#log.info({ workerId }, 'worker is leaving');
    this.#services.scheduler.leave(workerId);
    this.#grantLeaves();
  }

  /** Slots have come, gone, been taken or given back. */
  #resourcesChanged(): void {
    for (const master of this.#masters.values()) master.resourcesChanged();
    this.#grantLeaves();
  }

  /** Workers that leave may go once no job is about to give back slots that it has there. */
  #grantLeaves(): void {
    const { registry, scheduler } = this.#services;
    for (const { workerId } of registry.workers()) {
      if (!scheduler.isLeaving(workerId) || this.#released.has(workerId)) continue;
      if ([...this.#masters.values()].some((master) => master.isMovingFrom(workerId))) continue;
      this.#released.add(workerId);
      registry.send(workerId, { $case: 'leaveGranted', value: {} });
    }
  }

  async #submit(request: SubmitJobRequest): Promise<JobSummary> {
    const services = this.#services;
    const bundle = await this.#bundles.open(request.bundleId);
    const { streamGraph } = bundle.manifest;
    const desiredParallelism = desiredParallelismOf(request, bundle);
    // What the job can't be run at is told before it is taken in.
    createJobGraph(streamGraph, desiredParallelism);
    const jobId = this.#random.id();
    const origin = await this.#origins.resolve(request, streamGraph, jobId);
    this.#outputs.claim(jobId, streamGraph);
    const record: JobRecord = {
      jobId,
      jobName: streamGraph.jobName,
      bundleId: request.bundleId,
      desiredParallelism,
      exactParallelism: request.exactParallelism ?? false,
      parallelism: desiredParallelism,
      submittedAtMs: services.clock.now(),
      restore: origin?.reference ?? null,
      claimed: origin?.claim?.prefixes ?? [],
      status: 'CREATED',
      attempt: 0,
      rescales: 0,
      canceling: false,
      finishedAtMs: null,
      failure: null,
      cleanup: null,
    };
    const master = await this.#accept(record, streamGraph, origin?.claim?.txn);
    this.#log.info({ jobId, job: streamGraph.jobName, desiredParallelism }, 'job accepted');
    master.start();
    void this.#forgetOldJobs().catch((error: unknown) => {
      this.#log.warn({ err: toMillraceError(error) }, 'forgetting old jobs');
    });
    return summarize(master.record);
  }

  async #accept(
    record: JobRecord,
    streamGraph: StreamGraph,
    claim: MetaTxn | undefined,
  ): Promise<JobMaster> {
    try {
      await this.#services.jobs.put(record, claim);
      this.#bundles.claimed(record.bundleId);
      return await this.#startMaster(record, streamGraph);
    } catch (error) {
      this.#outputs.release(record.jobId);
      throw error;
    }
  }

  async #recoverJob(record: JobRecord): Promise<void> {
    try {
      const { manifest } = await this.#bundles.open(record.bundleId);
      (await this.#startMaster(record, manifest.streamGraph)).recover();
    } catch (error) {
      const described = toMillraceError(error);
      if (described.code === 'STORAGE_UNAVAILABLE' || described.code === 'STALE_EPOCH') throw error;
      this.#log.error({ jobId: record.jobId, err: described }, 'job cannot be recovered');
      const failed: JobRecord = {
        ...record,
        status: 'FAILED',
        finishedAtMs: this.#services.clock.now(),
        failure: serializeError(described),
        cleanup: 'retain',
      };
      await this.#services.jobs.put(failed);
      this.#ended.set(record.jobId, failed);
    }
  }

  async #startMaster(record: JobRecord, streamGraph: StreamGraph): Promise<JobMaster> {
    const { meta, leader } = this.#services;
    const completed = await CompletedCheckpointStore.open(meta, leader, record.jobId);
    const known = await this.#knownOf(completed, record.jobId);
    const master = new JobMaster(record, streamGraph, completed, known, this.#services);
    this.#masters.set(record.jobId, master);
    this.#outputs.follow(record.jobId, streamGraph, () => master.isEnded);
    return master;
  }

  /** What a manifest names that can't be read stays unknown: then nothing is deleted meanwhile. */
  async #knownOf(
    { checkpoints }: CompletedCheckpointStore,
    jobId: string,
  ): Promise<KnownCheckpoints> {
    const { meta, leader, writer } = this.#services;
    const references = new Map<number, ReadonlySet<string>>();
    for (const { checkpointId, manifest } of checkpoints.filter(isOwned)) {
      try {
        references.set(checkpointId, await writer.references(manifest));
      } catch (error) {
        const described = toMillraceError(error);
        if (described.code === 'STORAGE_UNAVAILABLE') throw described;
        this.#log.error({ jobId, checkpointId, err: described }, 'a checkpoint is damaged');
      }
    }
    const allocatedId = await new CheckpointIdCounter(meta, leader, jobId).last();
    return { completed: checkpoints, references, allocatedId };
  }

  /**
   * What earlier coordinators have left to be deleted.
   * @param savepoints that never came to be, or were disposed of, of jobs that don't run
   */
  async #cleanUp(savepoints: ReadonlySet<string>): Promise<void> {
    try {
      await this.#services.collector.collectPendingSavepoints(({ savepointId }) =>
        savepoints.has(savepointId),
      );
      for (const record of [...this.#ended.values()]) {
        if (record.cleanup !== null) await this.#exclusively(() => this.#cleanUpEnded(record));
      }
    } catch (error) {
      this.#log.warn({ err: toMillraceError(error) }, 'cleaning up');
    }
  }

  async #cleanUpEnded(record: JobRecord): Promise<void> {
    const { jobId } = record;
    if (this.#ended.get(jobId) !== record) return;
    try {
      await cleanUpEnded(this.#services, record);
      const cleaned = { ...record, cleanup: null };
      await this.#services.jobs.put(cleaned);
      this.#ended.set(jobId, cleaned);
    } catch (error) {
      this.#log.warn({ jobId, err: toMillraceError(error) }, 'cleaning up');
    }
  }

  /** Ended jobs beyond the limit go, oldest first. */
  async #forgetOldJobs(): Promise<void> {
    const ended = [
      ...this.#ended.values(),
      ...[...this.#masters.values()].filter((master) => master.isEnded).map(({ record }) => record),
    ].sort((left, right) => left.submittedAtMs - right.submittedAtMs);
    const surplus = ended.length - this.#endedJobsMax;
    for (const record of ended.slice(0, Math.max(0, surplus))) {
      await this.#masters.get(record.jobId)?.settled;
      await this.#exclusively(() => this.#forget(record));
    }
  }

  async #forget(record: JobRecord): Promise<void> {
    const { jobId, bundleId } = record;
    if (!this.#ended.has(jobId) && !this.#masters.has(jobId)) return;
    if (this.#origins.isNeeded(record)) return;
    if (!this.#isBundleOfOthers(record)) await this.#bundles.discard(bundleId);
    await forgetJob(this.#services, record);
    this.#ended.delete(jobId);
    this.#masters.delete(jobId);
  }

  /** Whether a job beside this one, or one that is being submitted, is made of the same bundle. */
  #isBundleOfOthers({ jobId, bundleId }: JobRecord): boolean {
    const records = [
      ...this.#ended.values(),
      ...[...this.#masters.values()].map(({ record }) => record),
    ];
    return (
      records.some((other) => other.jobId !== jobId && other.bundleId === bundleId) ||
      [...this.#submitting].some((request) => request.bundleId === bundleId)
    );
  }

  #exclusively<T>(act: () => Promise<T>): Promise<T> {
    const done = this.#snapshots.then(act);
    this.#snapshots = done.catch(() => undefined);
    return done;
  }
}

/** What was asked for, else what the job says, else as many slots as there are. */
function desiredParallelismOf(
  { parallelism, exactParallelism }: SubmitJobRequest,
  { manifest }: StoredBundle,
): number {
  const { streamGraph } = manifest;
  const desired = parallelism ?? streamGraph.parallelism;
  if (desired === undefined && exactParallelism === true) {
    throw new MillraceError(
      'USAGE',
      `job "${streamGraph.jobName}" is to run at exactly its parallelism, but has none; give --parallelism N`,
    );
  }
  return desired ?? streamGraph.maxParallelism;
}
