/**
 * Performs what the execution graph asks for (journey of a submit: job master -> scheduler -> worker
 * service): an attempt's number made durable, what it restores from verified, its slots found, its
 * slices deployed, canceled, finished. It decides nothing; each outcome goes back as an event.
 */
import { checkRestorable } from '../core/checkpoint-restore.js';
import {
  invariant,
  MillraceError,
  serializeError,
  toMillraceError,
  type SerializedError,
} from '../core/errors.js';
import type { Attempt, SliceLocation } from '../core/execution-state.js';
import type { JobEffect, RestoreSource } from '../core/job-decider.js';
import type { StreamGraph } from '../core/stream-graph.js';
import type { CompletedCheckpointStore } from './completed-checkpoint-store.js';
import type { JobRecord } from './job-record.js';
import type { JobServices } from './job-services.js';
import type { ToWorker } from './worker-registry.js';

type EffectOf<K extends JobEffect['kind']> = Extract<JobEffect, { kind: K }>;

export type DeploymentOutcome =
  | { readonly kind: 'attemptPrepared'; readonly attempt: number }
  | { readonly kind: 'attemptFailed'; readonly attempt: number; readonly failure: SerializedError }
  | {
      readonly kind: 'slotsGranted';
      readonly attempt: number;
      readonly slices: readonly SliceLocation[];
    }
  | { readonly kind: 'workerLost'; readonly workerId: string; readonly reason: string }
  | { readonly kind: 'slotsPrepared' }
  | { readonly kind: 'superseded' };

export interface AttemptDeploymentOptions {
  readonly record: () => JobRecord;
  /** Changes the record durably; calls are performed in order. */
  readonly save: (change: Partial<JobRecord>) => Promise<void>;
  readonly streamGraph: StreamGraph;
  readonly completed: CompletedCheckpointStore;
  readonly services: JobServices;
  readonly emit: (outcome: DeploymentOutcome) => void;
}

interface RestoredManifest {
  readonly source: RestoreSource;
  readonly text: string;
}

export class AttemptDeployment {
  readonly #options: AttemptDeploymentOptions;
  /** What the attempt that was prepared last restores from. */
  #restored: RestoredManifest | undefined;
  #slices: readonly SliceLocation[] = [];
  /** Workers that have yet to say that they are ready for the next attempt. */
  #preparing = new Set<string>();

  constructor(options: AttemptDeploymentOptions) {
    this.#options = options;
  }

  async prepare(effect: EffectOf<'prepareAttempt'>): Promise<void> {
    const {
      attempt: { attempt },
      restore,
      rescales,
    } = effect;
    const { save, emit, services } = this.#options;
    try {
      await save({ attempt, rescales });
      this.#restored = restore === undefined ? undefined : await this.#readRestored(restore);
      emit({ kind: 'attemptPrepared', attempt });
    } catch (error) {
      const described = toMillraceError(error);
      if (described.code === 'STALE_EPOCH') {
        emit({ kind: 'superseded' });
        services.superseded(described.message);
      } else emit({ kind: 'attemptFailed', attempt, failure: serializeError(described) });
    }
  }

  requestSlots({ attempt, count }: EffectOf<'requestSlots'>): void {
    const { record, services, emit } = this.#options;
    const { jobId, jobName } = record();
    const { slotWaitMs, recoverySlotWaitMs } = services.scaling;
    services.scheduler.request({
      jobId,
      jobName,
      attempt,
      count,
      timeoutMs: attempt > 1 ? recoverySlotWaitMs : slotWaitMs,
      preferred: this.#workersBySlice(),
      granted: (slices) => {
        this.#slices = slices;
        emit({ kind: 'slotsGranted', attempt, slices });
      },
      failed: (error) => emit({ kind: 'attemptFailed', attempt, failure: serializeError(error) }),
    });
  }

  cancelSlotRequest({ attempt }: EffectOf<'cancelSlotRequest'>): void {
    this.#options.services.scheduler.withdraw(this.#options.record().jobId, attempt);
  }

  returnSlots({ attempt, slices }: EffectOf<'returnSlots'>): void {
    const { services, record } = this.#options;
    slices.forEach(({ workerId }, slice) => {
      services.scheduler.release(workerId, record().jobId, attempt, slice);
    });
  }

  /** Tells the workers that the job's next slots would go to what will come. */
  prepareSlots({ count }: EffectOf<'prepareSlots'>, attempt: Attempt): void {
    const { record, services } = this.#options;
    const { jobId, bundleId } = record();
    const { slots: available } = services.scheduler.resourcesOf(jobId);
    const wanted = Math.min(count, available);
    const planned = services.scheduler.plan(jobId, wanted, this.#workersBySlice());
    this.#preparing = new Set(planned);
    if (planned.length === 0) this.#options.emit({ kind: 'slotsPrepared' });
    for (const workerId of this.#preparing) {
      const slots = planned.filter((other) => other === workerId).length;
      const value = { attempt, bundleId, slots };
      services.registry.send(workerId, { $case: 'prepareSlots', value });
    }
  }

  /** A worker has loaded what it was told to, or can't. */
  slotsPrepared(workerId: string): void {
    if (!this.#preparing.delete(workerId) || this.#preparing.size > 0) return;
    this.#options.emit({ kind: 'slotsPrepared' });
  }

  deploySlot(effect: EffectOf<'deploySlot'>): void {
    const { attempt, slice, slices, restore, parallelism } = effect;
    const { record, services, emit } = this.#options;
    const location = slices[slice];
    invariant(location !== undefined, 'a slice is deployed to the slot it was granted');
    const sent = services.registry.send(location.workerId, {
      $case: 'deploySlot',
      value: {
        attempt,
        slice,
        bundleId: record().bundleId,
        parallelism,
        slices: [...slices],
        restore: restore === undefined ? undefined : this.#restoreOf(restore),
        checkpointStorage: services.checkpointStorage,
      },
    });
    if (sent) return;
    emit({
      kind: 'workerLost',
      workerId: location.workerId,
      reason: 'it has gone before its slot was deployed',
    });
  }

  cancelAttempt({ attempt: { jobId, attempt }, workers }: EffectOf<'cancelAttempt'>): void {
    const { registry } = this.#options.services;
    const ids = workers === 'all' ? registry.workers().map(({ workerId }) => workerId) : workers;
    for (const workerId of ids) {
      registry.send(workerId, { $case: 'cancelAttempt', value: { jobId, attempt } });
    }
  }

  finishAttempt({ attempt, workers }: EffectOf<'finishAttempt'>): void {
    for (const workerId of workers) {
      const value = { attempt };
      this.#options.services.registry.send(workerId, { $case: 'finishAttempt', value });
    }
  }

  /** Sends to every worker of the attempt deployed last. */
  broadcast(message: ToWorker): void {
    for (const workerId of new Set(this.#slices.map((slice) => slice.workerId))) {
      this.#options.services.registry.send(workerId, message);
    }
  }

  /** Workers may drop what they keep for another attempt. */
  jobEnded(): void {
    const { registry } = this.#options.services;
    const { jobId } = this.#options.record();
    for (const { workerId } of registry.workers()) {
      registry.send(workerId, { $case: 'jobEnded', value: { jobId } });
    }
  }

  #workersBySlice(): readonly string[] {
    return this.#slices.map(({ workerId }) => workerId);
  }

  /** @throws MillraceError CHECKPOINT_CORRUPT, STATE_NOT_RESTORABLE, STORAGE_UNAVAILABLE */
  async #readRestored(source: RestoreSource): Promise<RestoredManifest> {
    const { completed, record, services, streamGraph } = this.#options;
    const { restore } = record();
    const handle =
      completed.checkpoints.find(({ prefix }) => prefix === source.prefix)?.manifest ??
      (restore?.prefix === source.prefix ? restore.manifest : undefined);
    if (handle === undefined) {
      throw new MillraceError(
        'CHECKPOINT_NOT_FOUND',
        `nothing refers to a checkpoint at ${source.prefix}; submit the job again from a savepoint`,
      );
    }
    const { manifest, text } = await services.writer.read(handle);
    checkRestorable(manifest, streamGraph, source.allowNonRestoredState);
    return { source, text };
  }

  #restoreOf(source: RestoreSource): {
    checkpointId: number;
    manifest: string;
    allowNonRestoredState: boolean;
    owned: boolean;
  } {
    const { checkpointId, allowNonRestoredState, owned, prefix } = source;
    invariant(this.#restored?.source.prefix === prefix, 'what is restored from was verified');
    return { checkpointId, manifest: this.#restored.text, allowNonRestoredState, owned };
  }
}
