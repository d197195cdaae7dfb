/**
 * A simulated coordinator: the thinnest possible shell around the product's job decider. It performs
 * the decider's effects against the simulated store and network, and hands the answers back as
 * events. It dies without a word, and another one starts from the store.
 */
import { isDeepStrictEqual } from 'node:util';
import { parseManifest, stringifyManifest } from '../../core/checkpoint-manifest.js';
import { checkRestorable } from '../../core/checkpoint-restore.js';
import type { CheckpointManifest } from '../../core/checkpoint-manifest.js';
import { MillraceError, serializeError, type SerializedError } from '../../core/errors.js';
import { workersOf } from '../../core/execution-graph.js';
import type { Stamp } from '../../core/execution-state.js';
import {
  createJobDecider,
  stepJob,
  wakeAtMs,
  type JobDeciderState,
  type JobEffect,
  type JobEvent,
} from '../../core/job-decider.js';
import type { Cluster, Session, WorkerCommand, WorkerReport } from './cluster.js';
import { SimulatedProcess } from './event-loop.js';
import { buildJob } from './simulated-job.js';
import { SimulatedSlots } from './simulated-slots.js';

const SCALING = {
  stabilizationMs: 5,
  cooldownMs: 30,
  slotWaitMs: 1_000,
  recoverySlotWaitMs: 1_000,
};

/** Chance that the answer of who prepares slots never comes. */
const PREPARED_LOSS = 0.1;
/** Chance that an operation of the store fails, and that a notification never arrives. */
const STORE_FAILURE = 0.02;
const NOTIFICATION_LOSS = 0.15;

type WithoutStamp<E> = E extends Stamp ? Omit<E, keyof Stamp> : never;

const UNAVAILABLE = new MillraceError('STORAGE_UNAVAILABLE', 'simulated; try again');

/** The epoch in the store is another coordinator's. */
class Superseded extends Error {}

export class SimulatedCoordinator implements Session {
  readonly process: SimulatedProcess;
  readonly epoch: number;
  state: JobDeciderState;
  readonly #cluster: Cluster;
  readonly #slots = new SimulatedSlots();
  #manifest: CheckpointManifest | undefined;
  #wakeAtMs: number | undefined;

  constructor(cluster: Cluster) {
    const { store } = cluster;
    this.#cluster = cluster;
    this.epoch = ++store.epoch;
    this.process = new SimulatedProcess(`coordinator ${this.epoch}`);
    const { graph } = buildJob(store, this.process, cluster.hooks);
    this.state = createJobDecider({
      jobId: 'j',
      epoch: this.epoch,
      streamGraph: graph,
      scaling: {
        desiredParallelism: store.desiredParallelism,
        exact: cluster.exactParallelism,
        config: SCALING,
      },
      known: store.known(),
    });
  }

  start(): void {
    const { attempt } = this.#cluster.store;
    this.#slotsChanged();
    if (this.epoch === 1) this.tell({ kind: 'submitted' });
    else this.tell({ kind: 'recovered', attempt, canceling: false });
  }

  tell(event: WithoutStamp<JobEvent>): void {
    const { loop, mutation } = this.#cluster;
    const stamp = { nowMs: loop.nowMs, wallMs: Math.floor(loop.nowMs) };
    const told = { ...event, ...stamp } as JobEvent;
    const before = this.state.execution.status;
    const { state, effects } = stepJob(this.state, mutation.event?.(told, this.state) ?? told);
    if (state.scaling.history !== this.state.scaling.history) this.#cluster.onRescaled();
    this.state = state;
    if (state.execution.status !== before) {
      loop.note(`${this.process.id}: job ${before} -> ${state.execution.status}`);
    }
    for (const effect of mutation.effects?.(effects, state) ?? effects) this.#perform(effect);
    this.#setTimer();
  }

  onReport(workerId: string, report: WorkerReport): void {
    if (report.kind === 'register') return this.#register(workerId, report.freeSlots);
    if (report.kind === 'slotState' && report.released) {
      this.#slots.release(workerId, this.#cluster.loop.nowMs);
    }
    this.#cluster.loop.note(`${workerId} says ${describe(report)}`);
    this.tell(report);
    this.#slotsChanged();
  }

  /** The worker is about to go. */
  leave(workerId: string): void {
    this.#slots.leave(workerId, this.#cluster.loop.nowMs);
    this.#slotsChanged();
  }

  /** Its connection broke, or its heartbeats stopped. */
  loseWorker(workerId: string, reason: string): void {
    if (!this.#slots.remove(workerId, this.#cluster.loop.nowMs)) return;
    this.#cluster.loop.note(`${this.process.id} loses ${workerId}: ${reason}`);
    this.tell({ kind: 'workerLost', workerId, reason });
    this.#slotsChanged();
  }

  #register(workerId: string, freeSlots: number): void {
    if (this.#slots.has(workerId)) return;
    this.#slots.add(workerId, freeSlots, this.#cluster.loop.nowMs);
    // Whatever it still runs is of an attempt that has been given up.
    const { attempt } = this.state.execution;
    const holds = workersOf(this.state.execution).includes(workerId);
    this.#send(workerId, { kind: 'cancel', attempt: holds ? attempt - 1 : attempt });
    this.#slotsChanged();
  }

  /** Grants what waits, and tells what there is now. */
  #slotsChanged(): void {
    const slices = this.#slots.take(this.#cluster.loop.random);
    if (slices !== undefined && this.#slots.request !== undefined) {
      const { attempt } = this.#slots.request;
      this.#slots.request = undefined;
      this.tell({ kind: 'slotsGranted', attempt, slices });
    }
    const resources = this.#slots.resources(this.state.execution);
    if (isDeepStrictEqual(resources, this.state.scaling.resources)) return;
    this.tell({ kind: 'resourcesChanged', resources });
  }

  #setTimer(): void {
    const atMs = wakeAtMs(this.state);
    if (atMs === this.#wakeAtMs) return;
    this.#wakeAtMs = atMs;
    if (atMs === undefined) return;
    const { loop } = this.#cluster;
    loop.schedule(Math.max(0, atMs - loop.nowMs), this.process, () => {
      if (this.#wakeAtMs !== atMs) return;
      this.#wakeAtMs = undefined;
      this.tell({ kind: 'timerElapsed' });
    });
  }

  #send(workerId: string, command: WorkerCommand): void {
    this.#cluster.command(this, workerId, command);
  }

  /** A guarded write: refused once another coordinator has been elected. */
  #write(apply: () => void): Promise<void> {
    const { store, loop } = this.#cluster;
    const fails = loop.random.chance(STORE_FAILURE);
    return store.perform(this.process, () => {
      if (store.epoch !== this.epoch) throw new Superseded();
      if (fails) throw UNAVAILABLE;
      apply();
    });
  }

  #rejected(error: unknown, event: (failure: SerializedError) => WithoutStamp<JobEvent>): void {
    if (error instanceof Superseded) this.tell({ kind: 'superseded' });
    else this.tell(event(serializeError(error)));
  }

  #perform(effect: JobEffect): void {
    const { store, loop, workerIds } = this.#cluster;
    switch (effect.kind) {
      case 'prepareAttempt':
        return this.#prepare(effect);
      case 'requestSlots':
        this.#slots.request = effect;
        // Granted by an event of its own: the decider is not told anything while it is asked.
        return loop.schedule(0.1, this.process, () => this.#slotsChanged());
      case 'prepareSlots': {
        if (loop.random.chance(PREPARED_LOSS)) return;
        const prepared = (): void => this.tell({ kind: 'slotsPrepared' });
        return loop.schedule(loop.random.next() * 12, this.process, prepared);
      }
      case 'recordParallelism':
        this.#write(() => (store.desiredParallelism = effect.parallelism)).catch(
          (error: unknown) => {
            if (!(error instanceof Superseded)) this.#perform(effect);
          },
        );
        return;
      case 'cancelSlotRequest':
        this.#slots.request = undefined;
        return;
      case 'returnSlots':
        for (const { workerId } of effect.slices) this.#slots.release(workerId, loop.nowMs);
        return;
      case 'deploySlot': {
        const { attempt, slice, slices, parallelism } = effect;
        const restore = effect.restore === undefined ? undefined : this.#manifest;
        const deployment = { attempt, slice, slices, parallelism, restore };
        return this.#send(slices[slice]?.workerId ?? '', { kind: 'deploy', deployment });
      }
      case 'cancelAttempt': {
        const ids = effect.workers === 'all' ? workerIds : effect.workers;
        for (const id of ids) this.#send(id, { kind: 'cancel', attempt: effect.attempt.attempt });
        return;
      }
      case 'finishAttempt':
        for (const id of effect.workers)
          this.#send(id, { kind: 'finish', attempt: effect.attempt });
        return;
      case 'allocateCheckpointId': {
        const { attempt, savepointId } = effect;
        const asked = savepointId === undefined ? {} : { savepointId };
        let checkpointId = 0;
        this.#write(() => (checkpointId = store.nextCheckpointId++)).then(
          () => this.tell({ kind: 'idAllocated', attempt, checkpointId, ...asked }),
          (error: unknown) =>
            this.#rejected(error, (failure) => ({ kind: 'idFailed', attempt, failure })),
        );
        return;
      }
      case 'triggerCheckpoint': {
        const { attempt, checkpointId, prefix, stopAfter, alignmentTimeoutMs } = effect;
        loop.note(`${this.process.id} triggers checkpoint ${checkpointId}`);
        const barrier = {
          kind: 'barrier',
          checkpointId,
          prefix,
          stopAfter,
          triggeredAtMs: loop.clockOf(this.process).now(),
          alignmentTimeoutMs,
        } as const;
        return this.#toAttempt({ kind: 'trigger', attempt, barrier });
      }
      case 'writeManifest':
        return this.#writeManifest(effect);
      case 'completeCheckpoint':
        return this.#complete(effect);
      case 'notifyComplete': {
        const { attempt, checkpointId, tasks } = effect;
        const ids = new Set(
          tasks.map(({ subtask }) => this.state.execution.slots[subtask]?.workerId ?? ''),
        );
        for (const id of ids) {
          if (loop.random.chance(NOTIFICATION_LOSS)) this.#cluster.onNotificationLost();
          else this.#send(id, { kind: 'complete', attempt, checkpointId });
        }
        return;
      }
      case 'notifyAborted': {
        const { attempt, checkpointId } = effect;
        return this.#toAttempt({ kind: 'aborted', attempt, checkpointId });
      }
      case 'discardCheckpoint': {
        const { prefix, files, keep } = effect;
        void store.perform(this.process, () => {
          store.deletePrefix(prefix, new Set(keep));
          for (const key of files) store.files.delete(key);
        });
        return;
      }
      case 'collectOrphans': {
        const { keep, upTo } = effect;
        void store.perform(this.process, () => {
          for (let id = 1; id <= upTo; id++) store.deletePrefix(`jobs/j/chk-${id}/`, new Set(keep));
        });
        return;
      }
      case 'jobTerminal': {
        if (effect.status === 'SUSPENDED') return;
        const { status } = effect;
        loop.note(`${this.process.id}: ${status} ${effect.failure?.message ?? ''}`);
        this.#write(() => (store.status = status)).catch((error: unknown) => {
          // The shell tries again; only a newer coordinator ends that.
          if (!(error instanceof Superseded)) this.#perform(effect);
        });
        return;
      }
      case 'savepointCompleted':
        this.#cluster.onSavepoint();
        return;
      case 'rescaleRefused':
      case 'savepointFailed':
      case 'recordCancel':
        return;
    }
  }

  /** To every worker that holds a slot of the attempt. */
  #toAttempt(command: WorkerCommand): void {
    for (const id of workersOf(this.state.execution)) this.#send(id, command);
  }

  #prepare({ attempt, restore }: Extract<JobEffect, { kind: 'prepareAttempt' }>): void {
    const { store } = this.#cluster;
    const failed = (error: unknown): void =>
      this.#rejected(error, (failure) => ({
        kind: 'attemptFailed',
        attempt: attempt.attempt,
        failure,
      }));
    this.#write(() => {
      store.attempt = attempt.attempt;
      if (restore === undefined) return;
      const key = `${restore.prefix}manifest.json`;
      const bytes = store.files.get(key);
      if (bytes === undefined) throw new MillraceError('CHECKPOINT_CORRUPT', `${key} is gone`);
      this.#manifest = parseManifest(Buffer.from(bytes).toString(), key);
      checkRestorable(
        this.#manifest,
        this.state.scaling.streamGraph,
        restore.allowNonRestoredState,
      );
    }).then(() => this.tell({ kind: 'attemptPrepared', attempt: attempt.attempt }), failed);
  }

  #writeManifest(effect: Extract<JobEffect, { kind: 'writeManifest' }>): void {
    const { store } = this.#cluster;
    const { checkpointId, prefix, manifest } = effect;
    this.#write(() => {
      store.files.set(`${prefix}manifest.json`, Buffer.from(stringifyManifest(manifest)));
    }).then(
      () => this.tell({ kind: 'manifestWritten', checkpointId }),
      (error: unknown) =>
        this.#rejected(error, (failure) => ({ kind: 'manifestFailed', checkpointId, failure })),
    );
  }

  #complete(effect: Extract<JobEffect, { kind: 'completeCheckpoint' }>): void {
    const { store, loop } = this.#cluster;
    const { checkpointId, completed } = effect;
    this.#write(() => {
      store.pointer = completed;
      loop.note(`checkpoint ${checkpointId} is complete`);
      this.#cluster.onCompleted(completed);
    }).then(
      () => this.tell({ kind: 'completed', checkpointId }),
      (error: unknown) =>
        this.#rejected(error, (failure) => ({ kind: 'completionFailed', checkpointId, failure })),
    );
  }
}

function describe(report: WorkerReport): string {
  const attempt = 'attempt' in report ? ` of attempt ${report.attempt.attempt}` : '';
  const task = 'task' in report ? ` ${report.task.vertex}/${report.task.subtask}` : '';
  const checkpoint = 'checkpointId' in report ? ` ${report.checkpointId}` : '';
  const state = 'state' in report ? ` ${report.state}` : '';
  const failure =
    'failure' in report && report.failure !== undefined ? ` (${report.failure.message})` : '';
  return `${report.kind}${checkpoint}${task}${state}${attempt}${failure}`;
}
