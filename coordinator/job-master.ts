/**
 * The job master: the shell around one job's pure decider. It stamps what happens with the time,
 * feeds it in one event at a time, and has the effects performed, in order. It must never decide
 * anything itself, nor show an end of the job before that end is durable.
 */
import { isDeepStrictEqual } from 'node:util';
import type { SavepointStatus } from '../api/rest/checkpoint-dto.js';
import { TERMINAL_STATUSES, type JobDetails } from '../api/rest/job-dto.js';
import { latestCompleted } from '../core/checkpoint-decider.js';
import type { KnownCheckpoints } from '../core/checkpoint-protocol.js';
import { retentionAtEnd } from '../core/checkpoint-retention.js';
import {
  assertNever,
  deserializeError,
  invariant,
  toMillraceError,
  type SerializedError,
} from '../core/errors.js';
import { attemptOf } from '../core/execution-graph.js';
import { isTerminalJobStatus, type Attempt, type JobStatus } from '../core/execution-state.js';
import {
  createJobDecider,
  stepJob,
  wakeAtMs,
  type JobDeciderState,
  type JobEffect,
  type JobEvent,
} from '../core/job-decider.js';
import { inFlightOf } from '../core/pending-checkpoint.js';
import type { JobResources, ScalingPhase } from '../core/scaling-protocol.js';
import type { StreamGraph } from '../core/stream-graph.js';
import { jobEventFromWire, type UnstampedJobEvent } from '../proto/job-event.js';
import { AttemptDeployment } from './attempt-deployment.js';
import { CheckpointCoordinator } from './checkpoint-coordinator.js';
import { describeCheckpoints, type CheckpointStatistics } from './checkpoint-view.js';
import type { CompletedCheckpointStore } from './completed-checkpoint-store.js';
import { cleanUpEnded } from './job-cleanup.js';
import type { JobRecord } from './job-record.js';
import type { JobServices } from './job-services.js';
import { describeJob, shownStatus } from './job-view.js';
import { COORDINATOR_LIMITS } from './limits.js';
import { SavepointRequests } from './savepoint-requests.js';
import { TaskMetricsStore } from './task-metrics.js';
import type { FromWorker, WorkerDescription } from './worker-registry.js';

/** A job that is starting on a worker which leaves moves away once it runs. */
const MOVING: ReadonlySet<ScalingPhase> = new Set([
  'PREPARING_SLOTS',
  'CHECKPOINTING',
  'REDEPLOYING',
  'DEPLOYING',
]);

export class JobMaster {
  readonly #services: JobServices;
  readonly #deployment: AttemptDeployment;
  readonly #checkpoints: CheckpointCoordinator;
  readonly #savepoints: SavepointRequests;
  readonly #metrics: TaskMetricsStore;
  /** As it is stored. */
  #record: JobRecord;
  /** What the scheduler said last that the job could have. */
  #resources: JobResources | undefined;
  /** Why the last wish for another parallelism was refused. */
  #refusal: SerializedError | undefined;
  #state: JobDeciderState;
  readonly #events: JobEvent[] = [];
  #stepping = false;
  #suspended = false;
  #saving: Promise<void> = Promise.resolve();
  /** Resolves when nothing more is done about a job that has ended. */
  #ended: Promise<void> = Promise.resolve();
  #cancelTimer: () => void = () => undefined;

  constructor(
    record: JobRecord,
    streamGraph: StreamGraph,
    completed: CompletedCheckpointStore,
    known: KnownCheckpoints,
    services: JobServices,
  ) {
    const { jobId, jobName, restore, claimed, desiredParallelism, rescales } = record;
    const emit = (event: UnstampedJobEvent): void => this.#handle(event);
    this.#record = record;
    this.#services = services;
    this.#savepoints = new SavepointRequests(jobId);
    this.#state = createJobDecider({
      jobId,
      epoch: services.leader.epoch,
      streamGraph,
      scaling: { desiredParallelism, exact: record.exactParallelism, config: services.scaling },
      rescales,
      known,
      ...(restore === null ? {} : { restoreFrom: restore }),
    });
    this.#metrics = new TaskMetricsStore(this.#state.execution.graph);
    this.#deployment = new AttemptDeployment({
      record: () => this.#record,
      save: (change) => this.#save(change),
      streamGraph,
      completed,
      services,
      emit,
    });
    this.#checkpoints = new CheckpointCoordinator({
      jobId,
      jobName,
      claimed,
      completed,
      services,
      emit,
      broadcast: (message) => this.#deployment.broadcast(message),
    });
  }

  /** The job's record with what has happened since it was stored. */
  get record(): JobRecord {
    const { execution, scaling } = this.#state;
    const { status, attempt, rescales, graph } = execution;
    const stored = TERMINAL_STATUSES.has(this.#record.status);
    return {
      ...this.#record,
      attempt,
      rescales,
      parallelism: graph.defaultParallelism,
      desiredParallelism: scaling.desiredParallelism,
      status: stored ? this.#record.status : shownStatus(beforeTheEnd(status)),
    };
  }

  get isEnded(): boolean {
    return this.#suspended || TERMINAL_STATUSES.has(this.#record.status);
  }

  /** Resolves once an ended job's files are as they are to stay: its record can be forgotten. */
  get settled(): Promise<void> {
    return this.#ended;
  }

  /** Blob key prefix of what a restart would start from; undefined: from nothing, or it has ended. */
  get restoresFrom(): string | undefined {
    if (this.isEnded) return undefined;
    return latestCompleted(this.#state.checkpoints)?.prefix ?? this.#record.restore?.prefix;
  }

  /** The highest attempt that a worker which has just come can't be meant to run; 0: none. */
  get staleAttempt(): number {
    const { attempt, phase } = this.#state.execution;
    return phase === 'PREPARING' || phase === 'SCHEDULING' ? attempt - 1 : attempt;
  }

  start(): void {
    this.resourcesChanged();
    this.#handle({ kind: 'submitted' });
  }

  /** Goes on with a job that another coordinator ran. */
  recover(): void {
    const { attempt, canceling } = this.#record;
    this.resourcesChanged();
    this.#handle({ kind: 'recovered', attempt, canceling });
  }

  /** Looks at what the job could have now. */
  resourcesChanged(): void {
    if (this.isEnded) return;
    const resources = this.#services.scheduler.resourcesOf(this.#record.jobId);
    if (isDeepStrictEqual(resources, this.#resources)) return;
    this.#resources = resources;
    this.#handle({ kind: 'resourcesChanged', resources });
  }

  /** Whether the job can be expected to give back the slots that it has on a worker which leaves. */
  isMovingFrom(workerId: string): boolean {
    const { execution, scaling } = this.#state;
    const { phase } = scaling;
    return (
      (MOVING.has(phase) || execution.phase === 'RELEASING') &&
      execution.slots.some((slot) => slot.workerId === workerId && !slot.released)
    );
  }

  receive(worker: WorkerDescription, attempt: Attempt, message: FromWorker): void {
    if (message.$case === 'slotsPrepared') return this.#deployment.slotsPrepared(worker.workerId);
    if (message.$case === 'metrics') {
      const { execution } = this.#state;
      if (attempt.attempt !== execution.attempt || attempt.epoch !== execution.epoch) return;
      this.#metrics.report(attempt.attempt, message.value);
      return;
    }
    const event = jobEventFromWire(attempt, message);
    if (event !== undefined) this.#handle(event);
    else this.#services.log.warn({ worker: worker.workerId, case: message.$case }, 'odd report');
  }

  workerLost(workerId: string, reason: string): void {
    this.#handle({ kind: 'workerLost', workerId, reason });
  }

  /** Asks for the job's end; resolves once the wish is durable. */
  async cancel(): Promise<void> {
    this.#handle({ kind: 'cancelRequested' });
    await this.#saving;
  }

  /**
   * Asks for another parallelism; resolves once the wish is durable, before the job runs at it.
   * @throws MillraceError PARAM_INVALID, NOT_ENOUGH_SLOTS, JOB_STATE_CONFLICT
   */
  async rescale(parallelism: number): Promise<void> {
    this.#refusal = undefined;
    this.#handle({ kind: 'rescaleRequested', parallelism });
    if (this.#refusal !== undefined) throw deserializeError(this.#refusal);
    await this.#saving;
  }

  /** @param stopAfter whether the job is to finish with it */
  triggerSavepoint(stopAfter: boolean): SavepointStatus {
    const savepointId = `sp-${this.#services.random.id()}`;
    const status = this.#savepoints.asked(savepointId);
    this.#handle({ kind: 'savepointRequested', request: { savepointId, stopAfter } });
    return this.#savepoints.find(savepointId) ?? status;
  }

  savepoint(savepointId: string): SavepointStatus | undefined {
    return this.#savepoints.find(savepointId);
  }

  details(): JobDetails {
    const { scheduler, clock } = this.#services;
    return describeJob(this.record, this.#state, this.#metrics, {
      nowMs: clock.now(),
      slotsFree: scheduler.slotsFree,
      slotsTotal: scheduler.slotsTotal,
    });
  }

  checkpoints(): CheckpointStatistics {
    return describeCheckpoints(this.#record, this.#state);
  }

  /** Stops deciding; the job stays as the stores have it. */
  async suspend(): Promise<void> {
    this.#suspended = true;
    this.#cancelTimer();
    this.#checkpoints.close();
    await this.#saving.catch(() => undefined);
  }

  #handle(event: UnstampedJobEvent): void {
    if (this.#suspended) return;
    const { clock } = this.#services;
    this.#events.push({ ...event, nowMs: clock.monotonic(), wallMs: clock.now() });
    invariant(
      this.#events.length <= COORDINATOR_LIMITS.jobEventsMax,
      'effects of one event cause few others',
    );
    if (this.#stepping) return;
    this.#stepping = true;
    try {
      for (let next = this.#events.shift(); next !== undefined; next = this.#events.shift()) {
        const before = this.#state;
        const { state, effects } = stepJob(before, next);
        this.#state = state;
        this.#observe(before, state);
        for (const effect of effects) this.#perform(effect);
      }
    } finally {
      this.#stepping = false;
    }
    this.#setTimer();
  }

  #perform(effect: JobEffect): void {
    switch (effect.kind) {
      case 'prepareAttempt':
        return void this.#deployment.prepare(effect);
      case 'requestSlots':
        return this.#deployment.requestSlots(effect);
      case 'prepareSlots':
        return this.#deployment.prepareSlots(effect, attemptOf(this.#state.execution));
      case 'recordParallelism':
        return void this.#saveUntilDone({ desiredParallelism: effect.parallelism });
      case 'rescaleRefused':
        this.#refusal = effect.failure;
        return;
      case 'cancelSlotRequest':
        return this.#deployment.cancelSlotRequest(effect);
      case 'returnSlots':
        return this.#deployment.returnSlots(effect);
      case 'deploySlot':
        return this.#deployment.deploySlot(effect);
      case 'cancelAttempt':
        return this.#deployment.cancelAttempt(effect);
      case 'finishAttempt':
        return this.#deployment.finishAttempt(effect);
      case 'recordCancel':
        return void this.#saveUntilDone({ canceling: true });
      case 'jobTerminal':
        return this.#end(effect.status, effect.failure);
      case 'allocateCheckpointId':
        return void this.#checkpoints.allocateId(effect);
      case 'triggerCheckpoint':
        return this.#checkpoints.trigger(effect);
      case 'writeManifest':
        return this.#checkpoints.writeManifest(effect);
      case 'completeCheckpoint':
        return void this.#checkpoints.complete(effect);
      case 'notifyComplete':
        return this.#checkpoints.notifyComplete(effect);
      case 'notifyAborted':
        return this.#checkpoints.notifyAborted(effect);
      case 'discardCheckpoint':
        return this.#checkpoints.discard(effect);
      case 'collectOrphans':
        return this.#checkpoints.collectOrphans(effect);
      case 'savepointCompleted':
        return this.#savepoints.completed(effect.savepointId);
      case 'savepointFailed':
        return this.#savepoints.failed(effect.savepointId, effect.failure);
      default:
        return assertNever(effect);
    }
  }

  #end(status: JobStatus, failure: SerializedError | undefined): void {
    const { jobId, jobName: job } = this.#record;
    this.#services.log.info({ jobId, job, status, failure: failure?.message }, 'job ended');
    // Suspended: the job is another coordinator's now, and so is its record.
    if (status === 'SUSPENDED') return void this.suspend();
    const change = {
      status: shownStatus(status),
      parallelism: this.#state.execution.graph.defaultParallelism,
      finishedAtMs: this.#services.clock.now(),
      failure: failure ?? null,
      cleanup: retentionAtEnd(status, this.#state.execution.graph.streamGraph.checkpoint),
    };
    this.#ended = this.#saveUntilDone(change).then(() => this.#cleanUp());
  }

  /** What fails here is done by the next coordinator, or when the job is forgotten. */
  async #cleanUp(): Promise<void> {
    if (!TERMINAL_STATUSES.has(this.#record.status)) return;
    await this.#checkpoints.settled();
    if (this.#suspended) return;
    try {
      await cleanUpEnded(this.#services, this.#record);
      await this.#save({ cleanup: null });
    } catch (error) {
      const { jobId } = this.#record;
      this.#services.log.warn({ jobId, err: toMillraceError(error) }, 'cleaning up');
    }
  }

  /** One at a time, in the order of asking. @throws as JobStore.put */
  #save(change: Partial<JobRecord>): Promise<void> {
    const saved = this.#saving
      .catch(() => undefined)
      .then(async () => {
        const record = { ...this.#record, ...change };
        await this.#services.jobs.put(record);
        this.#record = record;
      });
    this.#saving = saved;
    return saved;
  }

  /** Ends with the record saved, the job another coordinator's, or this master suspended. */
  async #saveUntilDone(change: Partial<JobRecord>): Promise<void> {
    const { log, clock } = this.#services;
    while (!this.#suspended) {
      try {
        return await this.#save(change);
      } catch (error) {
        const described = toMillraceError(error);
        log.warn({ jobId: this.#record.jobId, err: described }, 'job record');
        if (described.code !== 'STORAGE_UNAVAILABLE') {
          this.#handle({ kind: 'superseded' });
          return this.#services.superseded(described.message);
        }
      }
      await new Promise<void>((resolve) => {
        clock.setTimer(COORDINATOR_LIMITS.storageRetryMs, () => resolve());
      });
    }
  }

  #setTimer(): void {
    this.#cancelTimer();
    const atMs = wakeAtMs(this.#state);
    if (atMs === undefined || this.#suspended) return;
    if (isTerminalJobStatus(this.#state.execution.status)) return;
    const { clock } = this.#services;
    // Timers may fire a fraction early; a step before its time would only set the next one.
    const delayMs = Math.max(1, Math.ceil(atMs - clock.monotonic()));
    this.#cancelTimer = clock.setTimer(delayMs, () => this.#handle({ kind: 'timerElapsed' }));
  }

  /** Logs and counts what has changed. */
  #observe(before: JobDeciderState, after: JobDeciderState): void {
    const { log, metrics } = this.#services;
    const { jobId, jobName: job } = this.#record;
    const { status, attempt, failures } = after.execution;
    if (status !== before.execution.status) log.info({ jobId, job, status, attempt }, 'job status');
    if (after.execution.graph !== before.execution.graph) {
      this.#metrics.deployed(after.execution.graph);
    }
    const restarts = after.scaling.phase !== 'REDEPLOYING' && attempt > 1;
    if (restarts && attempt > before.execution.attempt) metrics.restarted(job);
    for (const rescale of after.scaling.history) {
      if (before.scaling.history.includes(rescale)) continue;
      metrics.rescaled(job, rescale.downtimeMs);
      log.info({ jobId, job, ...rescale }, 'rescaled');
    }
    for (const failure of failures) {
      if (before.execution.failures.includes(failure)) continue;
      metrics.attemptFailed(job, failure.cause.code);
      log.warn({ jobId, job, attempt: failure.attempt, failure: failure.cause.message }, 'failure');
    }
    const { history } = after.checkpoints;
    if (history === before.checkpoints.history) return;
    for (const entry of history.entries) {
      const earlier = before.checkpoints.history.entries.find(
        ({ checkpointId }) => checkpointId === entry.checkpointId,
      );
      if (earlier?.status === entry.status || entry.status === 'IN_PROGRESS') continue;
      const { checkpointId, bytes, durationMs = 0, failure } = entry;
      const { unaligned, inFlightBytes } = inFlightOf(entry.acknowledged);
      const kind = entry.savepointId === undefined ? 'checkpoint' : 'savepoint';
      const figures = { checkpointId, kind, bytes, unaligned, inFlightBytes, durationMs, failure };
      log.info({ jobId, job, ...figures }, entry.status);
      if (entry.status === 'FAILED') metrics.checkpointFailed(job, kind);
      else {
        metrics.checkpointCompleted(job, kind, durationMs, entry);
        metrics.checkpointInFlight(job, unaligned, inFlightBytes);
      }
    }
  }
}

/** What a job shows that has ended but whose end isn't durable yet. */
function beforeTheEnd(status: JobStatus): JobStatus {
  if (status === 'FINISHED') return 'RUNNING';
  if (status === 'CANCELED') return 'CANCELLING';
  return status === 'FAILED' ? 'FAILING' : status;
}
