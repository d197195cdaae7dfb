/**
 * Runs slots for the coordinator (journey of a submit: worker service -> task executor -> bundle
 * loader -> task). It carries out commands and passes on reports, each with its attempt; commands of
 * an older epoch than the session's are refused. It must never decide anything about a job.
 */
import type { Logger } from 'pino';
import type { Clock } from '../core/clock.js';
import { serializeError, toMillraceError, type MillraceError } from '../core/errors.js';
import { createJobGraph } from '../core/job-graph.js';
import type { StateConfig, StreamGraph } from '../core/stream-graph.js';
import type { SerializedError } from '../core/errors.js';
import { failureToWire } from '../proto/failure.js';
import {
  TaskState,
  type Attempt,
  type DeploySlot,
  type PrepareSlots,
} from '../proto/gen/millrace/v1/control.js';
import path from 'node:path';
import { readBundleManifest, type BundleLoader } from './bundle-loader.js';
import type { ScoringService } from './compute/scoring-service.js';
import { AttemptExchange } from './network/attempt-exchange.js';
import { subscribeToExchange } from './network/exchange-client.js';
import type { ExchangeServer } from './network/exchange-server.js';
import type { MergePool } from './merge-pool.js';
import type { LocalCheckpoints } from './local-checkpoints.js';
import type { Command, Report } from './session-client.js';
import type { SlotDeployment, SlotReport } from './slot-messages.js';
import { PreparedSlots } from './prepared-slots.js';
import { SlotRunner, type SlotBundle, type SlotListener } from './slot-runner.js';
import { StateThreadRunner } from './state/cold/state-thread-runner.js';
import type { StateFolder } from './state-folder.js';
import type { WorkerMetrics } from './worker-metrics.js';

export interface TaskExecutorOptions {
  readonly workerId: string;
  readonly slots: number;
  readonly clock: Clock;
  readonly log: Logger;
  readonly bundles: BundleLoader;
  readonly exchange: ExchangeServer;
  readonly scoring: ScoringService;
  readonly state: Pick<StateFolder, 'nextSlot' | 'removeSlot'>;
  readonly local: LocalCheckpoints;
  readonly merges: Pick<MergePool, 'merge'>;
  readonly metrics: WorkerMetrics;
  readonly metricsIntervalMs: number;
  readonly slotHeapMb: number | undefined;
  readonly report: (report: Report) => void;
  /** A slot was released, or the coordinator has nothing against the worker's end. */
  readonly onReleased: () => void;
  readonly onLeaveGranted: () => void;
  readonly rssBytes: () => number;
}

interface RunningAttempt {
  readonly attempt: Attempt;
  readonly exchange: AttemptExchange;
  readonly slots: Map<number, SlotRunner>;
  readonly state: StateConfig;
}

export class TaskExecutor {
  readonly #options: TaskExecutorOptions;
  readonly #attempts = new Map<string, RunningAttempt>();
  readonly #prepared: PreparedSlots<SlotRunner, SlotBundle>;
  /** Deployments that are being prepared, so that a cancel in the meantime is not missed. */
  readonly #canceled = new Map<string, number>();
  #epoch = 0;
  #used = 0;

  constructor(options: TaskExecutorOptions) {
    this.#options = options;
    const { clock, slots: slotsMax } = options;
    this.#prepared = new PreparedSlots({
      clock,
      slotsMax,
      start: (folder, listener) => this.#startThread(folder, listener),
    });
  }

  /** Starts of a session: commands of a lower epoch are refused from now on. */
  setEpoch(epoch: number): void {
    this.#epoch = Math.max(this.#epoch, epoch);
  }

  /** Slots whose thread is there, those included that are being ended. */
  get usedSlots(): number {
    return this.#used;
  }

  execute(command: Command): void {
    switch (command.$case) {
      case 'deploySlot':
        void this.#deploy(command.value);
        break;
      case 'prepareSlots':
        void this.#prepare(command.value);
        break;
      case 'leaveGranted':
        this.#options.onLeaveGranted();
        break;
      case 'cancelAttempt':
        this.cancel(command.value.jobId, command.value.attempt);
        break;
      case 'finishAttempt':
        this.#finish(command.value.attempt);
        break;
      case 'triggerCheckpoint': {
        const { attempt, alignmentTimeoutMs, ...trigger } = command.value;
        this.#send(attempt, {
          kind: 'trigger',
          barrier: {
            kind: 'barrier',
            ...trigger,
            alignmentTimeoutMs: alignmentTimeoutMs ?? null,
          },
        });
        break;
      }
      case 'notifyCheckpointComplete': {
        const { attempt, checkpointId } = command.value;
        this.#send(attempt, { kind: 'complete', checkpointId });
        if (attempt !== undefined) void this.#options.local.completed(attempt.jobId, checkpointId);
        break;
      }
      case 'notifyCheckpointAborted': {
        const { attempt, checkpointId } = command.value;
        this.#send(attempt, { kind: 'aborted', checkpointId });
        if (attempt !== undefined) void this.#options.local.aborted(attempt.jobId, checkpointId);
        break;
      }
      case 'jobEnded':
        void this.#options.local.jobEnded(command.value.jobId);
        break;
      case 'heartbeatRequest':
        this.#options.report({
          $case: 'heartbeat',
          value: {
            sequence: command.value.sequence,
            rssBytes: this.#options.rssBytes(),
            freeSlots: Math.max(0, this.#options.slots - this.usedSlots),
          },
        });
        break;
      case 'registered':
      case 'refused':
        break;
    }
  }

  /** Ends the slots of a job's attempts up to this one. */
  cancel(jobId: string, attempt: number): void {
    this.#canceled.set(jobId, Math.max(this.#canceled.get(jobId) ?? 0, attempt));
    for (const [key, running] of this.#attempts) {
      if (running.attempt.jobId !== jobId || running.attempt.attempt > attempt) continue;
      this.#detach(key, running);
      for (const slot of running.slots.values()) void slot.cancel();
    }
  }

  /** Ends every slot: the worker goes away, or its coordinator has for too long. */
  async cancelAll(): Promise<void> {
    const ending: Promise<void>[] = [this.#prepared.close()];
    for (const [key, running] of this.#attempts) {
      this.#detach(key, running);
      for (const slot of running.slots.values()) ending.push(slot.terminate());
    }
    await Promise.all(ending);
  }

  /** Whatever is wrong with the bundle shows when the slot is deployed. */
  async #prepare({ attempt, bundleId, slots }: PrepareSlots): Promise<void> {
    const { bundles, log, report } = this.#options;
    if (attempt === undefined || attempt.epoch < this.#epoch) return;
    const { jobId } = attempt;
    try {
      const folder = await bundles.load(bundleId);
      const { streamGraph } = await readBundleManifest(folder);
      await this.#prepared.prepare(jobId, bundleId, { folder, state: streamGraph.state }, slots);
    } catch (error) {
      log.warn({ jobId, err: toMillraceError(error) }, 'slots could not be prepared');
    }
    report({ $case: 'slotsPrepared', value: { attempt } });
  }

  #startThread(bundle: SlotBundle, listener: SlotListener): SlotRunner {
    const { clock, scoring, slotHeapMb: heapMb } = this.#options;
    return new SlotRunner({ bundle, scoring, heapMb, clock }, listener);
  }

  async #deploy(deploy: DeploySlot): Promise<void> {
    const { attempt, slice } = deploy;
    if (attempt === undefined || attempt.epoch < this.#epoch) return;
    try {
      const folder = await this.#options.bundles.load(deploy.bundleId);
      const { streamGraph } = await readBundleManifest(folder);
      // From here on nothing is waited for: a cancel finds the slot, or was seen here.
      if (attempt.attempt <= (this.#canceled.get(attempt.jobId) ?? -1)) {
        this.#released(attempt, slice);
        return;
      }
      const running = this.#attemptOf(attempt, deploy, streamGraph);
      this.#startSlot(running, deploy, folder);
    } catch (error) {
      this.#slotFailed(attempt, slice, serializeError(error));
      this.#released(attempt, slice);
    }
  }

  #attemptOf(attempt: Attempt, deploy: DeploySlot, streamGraph: StreamGraph): RunningAttempt {
    const key = attemptKey(attempt);
    const known = this.#attempts.get(key);
    if (known !== undefined) return known;
    const graph = createJobGraph(streamGraph, deploy.parallelism);
    const { workerId } = this.#options;
    const onBroken = (error: MillraceError): void => {
      const slice = this.#attempts.get(key)?.slots.keys().next().value;
      if (slice !== undefined) this.#slotFailed(attempt, slice, serializeError(error));
    };
    const exchange = new AttemptExchange({
      graph,
      slices: deploy.slices,
      workerId,
      connect: (peer, onFrame, onPeerBroken) =>
        subscribeToExchange(
          peer,
          { ...attempt, consumerWorkerId: workerId },
          onFrame,
          onPeerBroken,
        ),
      onBroken,
    });
    const running: RunningAttempt = {
      attempt,
      exchange,
      slots: new Map(),
      state: streamGraph.state,
    };
    this.#attempts.set(key, running);
    this.#options.exchange.addAttempt(attempt.jobId, attempt.attempt, exchange);
    return running;
  }

  #startSlot(running: RunningAttempt, deploy: DeploySlot, bundleFolder: string): void {
    const { attempt, slots, exchange } = running;
    const { slice } = deploy;
    const { state, local } = this.#options;
    const stateFolder = state.nextSlot();
    const database = this.#startDatabase(running, slice, stateFolder);
    const listener: SlotListener = {
      onMessage: (message) => {
        if (message.kind === 'merge') void this.#merge(slot, stateFolder, message);
        else this.#receive(running, slice, message);
      },
      onReleased: () => {
        slots.delete(slice);
        this.#used--;
        const key = attemptKey(attempt);
        if (slots.size === 0 && this.#attempts.get(key) === running) this.#detach(key, running);
        local.slotEnded(attempt.jobId);
        // What can't be removed now goes with the worker's folder.
        void Promise.resolve(database?.end()).then(() =>
          state.removeSlot(stateFolder).catch(() => undefined),
        );
        this.#released(attempt, slice);
      },
    };
    const slot =
      this.#prepared.take(attempt.jobId, deploy.bundleId) ??
      this.#startThread({ folder: bundleFolder, state: running.state }, listener);
    const deployment: SlotDeployment = {
      jobId: attempt.jobId,
      attempt: attempt.attempt,
      slice,
      parallelism: deploy.parallelism,
      restoreManifest: deploy.restore?.manifest,
      ownsRestored: deploy.restore?.owned ?? false,
      allowNonRestoredState: deploy.restore?.allowNonRestoredState ?? false,
      checkpointStorage: deploy.checkpointStorage,
      stateFolder,
      copiesFolder: local.folderOf(attempt.jobId),
      database: database?.connection,
      metricsIntervalMs: this.#options.metricsIntervalMs,
    };
    local.slotStarted(attempt.jobId);
    slot.deploy(deployment, listener);
    slots.set(slice, slot);
    this.#used++;
    exchange.addSlot(slice, slot.port);
  }

  /** The state thread of a slot whose state may outgrow memory. */
  #startDatabase(
    { attempt, state: { backend, memoryBytesMax } }: RunningAttempt,
    slice: number,
    stateFolder: string,
  ): StateThreadRunner | undefined {
    if (backend === 'memory') return undefined;
    return new StateThreadRunner({
      folder: path.join(stateFolder, 'database'),
      memoryBytesMax,
      clock: this.#options.clock,
      onLost: (error) => this.#slotFailed(attempt, slice, serializeError(error)),
    });
  }

  #finish(attempt: Attempt | undefined): void {
    if (attempt === undefined) return;
    const running = this.#attempts.get(attemptKey(attempt));
    for (const slot of running?.slots.values() ?? []) void slot.finish();
  }

  #send(attempt: Attempt | undefined, message: Parameters<SlotRunner['send']>[0]): void {
    if (attempt === undefined || attempt.epoch < this.#epoch) return;
    const running = this.#attempts.get(attemptKey(attempt));
    for (const slot of running?.slots.values() ?? []) slot.send(message);
  }

  async #merge(
    slot: SlotRunner,
    folder: string,
    { id, request }: Extract<SlotReport, { kind: 'merge' }>,
  ): Promise<void> {
    const reply = await this.#options.merges.merge({ folder, request });
    // A slot that has ended meanwhile drops it.
    slot.send({ kind: 'merged', id, reply });
  }

  #detach(key: string, running: RunningAttempt): void {
    running.exchange.close();
    this.#options.exchange.removeAttempt(running.attempt.jobId, running.attempt.attempt);
    this.#attempts.delete(key);
    this.#options.metrics.removeAttempt(running.attempt);
  }

  #released(attempt: Attempt, slice: number): void {
    this.#options.report({
      $case: 'slotState',
      value: { attempt, slice, released: true, failure: undefined },
    });
    this.#options.onReleased();
  }

  #slotFailed(attempt: Attempt, slice: number, error: SerializedError): void {
    const located = { ...error, location: { worker: this.#options.workerId, ...error.location } };
    this.#options.report({
      $case: 'slotState',
      value: { attempt, slice, released: false, failure: failureToWire(located) },
    });
  }

  #receive(
    running: RunningAttempt,
    slice: number,
    message: Exclude<SlotReport, { kind: 'merge' }>,
  ): void {
    const { attempt, exchange } = running;
    const { report, metrics, workerId, local, log } = this.#options;
    const taskState = (
      task: { vertex: string; subtask: number },
      state: TaskState,
      error?: SerializedError,
    ): void =>
      report({
        $case: 'taskState',
        value: {
          attempt,
          task,
          state,
          failure:
            error === undefined
              ? undefined
              : failureToWire({ ...error, location: { worker: workerId, ...error.location } }),
        },
      });
    switch (message.kind) {
      case 'loaded':
        break;
      case 'buffers':
        try {
          exchange.fromSlot(message.channels, message.buffers);
        } catch (error) {
          this.#slotFailed(attempt, slice, serializeError(toMillraceError(error)));
        }
        break;
      case 'credits':
        exchange.creditsFromSlot(message.channels, message.counts);
        break;
      case 'restored':
        log.info({ ...attempt, slice, ...message.bytes }, 'restored keyed state');
        metrics.restored(attempt.jobId, message.bytes);
        break;
      case 'running':
        taskState(message.task, TaskState.TASK_STATE_RUNNING);
        break;
      case 'drained':
        taskState(message.task, TaskState.TASK_STATE_DRAINED);
        break;
      case 'finished':
        for (const task of message.tasks) taskState(task, TaskState.TASK_STATE_FINISHED);
        break;
      case 'failed':
        if (message.task === undefined) this.#slotFailed(attempt, slice, message.error);
        else taskState(message.task, TaskState.TASK_STATE_FAILED, message.error);
        break;
      case 'acknowledged':
        local.acknowledged(attempt.jobId, message.checkpointId, message.files);
        report({
          $case: 'checkpointAcknowledged',
          value: {
            attempt,
            checkpointId: message.checkpointId,
            task: message.task,
            files: [...message.files],
            timings: message.timings,
          },
        });
        break;
      case 'declined':
        report({
          $case: 'checkpointDeclined',
          value: {
            attempt,
            checkpointId: message.checkpointId,
            task: message.task,
            failure: failureToWire(message.error),
          },
        });
        break;
      case 'committed':
        report({
          $case: 'checkpointCommitted',
          value: { attempt, checkpointId: message.checkpointId, task: message.task },
        });
        break;
      case 'metrics':
        // A straggler of an attempt that is gone would be counted twice.
        if (this.#attempts.get(attemptKey(attempt)) === running) {
          report({ $case: 'metrics', value: metrics.record(attempt, message) });
        }
        break;
    }
  }
}

function attemptKey({ jobId, attempt }: Attempt): string {
  return `${jobId}#${attempt}`;
}
