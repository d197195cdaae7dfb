/**
 * Performs what the checkpoint decider asks for (journey of a barrier): ids from the meta store,
 * triggers and notifications to the workers, the manifest, the compare-and-set that completes, and
 * the deletion of what is orphaned. It decides nothing; each outcome goes back as an event.
 */
import type { CompletedCheckpoint } from '../core/checkpoint-protocol.js';
import {
  isMillraceError,
  serializeError,
  toMillraceError,
  type MillraceError,
  type SerializedError,
} from '../core/errors.js';
import type { JobEffect } from '../core/job-decider.js';
import type { BlobHandle } from '../storage/blob-store.js';
import { CheckpointIdCounter } from './checkpoint-id-counter.js';
import type { CompletedCheckpointStore, StoredCheckpoint } from './completed-checkpoint-store.js';
import type { JobServices } from './job-services.js';
import { COORDINATOR_LIMITS } from './limits.js';
import { listSavepoints, type SavepointRecord } from './savepoint-record.js';
import type { ToWorker } from './worker-registry.js';

type EffectOf<K extends JobEffect['kind']> = Extract<JobEffect, { kind: K }>;

/** Outcomes, without their stamp. */
export type CheckpointOutcome =
  | { readonly kind: 'idAllocated'; readonly attempt: number; readonly checkpointId: number }
  | {
      readonly kind: 'idFailed';
      readonly attempt: number;
      readonly failure: SerializedError;
    }
  | { readonly kind: 'manifestWritten'; readonly checkpointId: number }
  | {
      readonly kind: 'manifestFailed' | 'completionFailed';
      readonly checkpointId: number;
      readonly failure: SerializedError;
    }
  | { readonly kind: 'completed'; readonly checkpointId: number }
  | { readonly kind: 'superseded' };

export interface CheckpointCoordinatorOptions {
  readonly jobId: string;
  readonly jobName: string;
  readonly completed: CompletedCheckpointStore;
  readonly services: JobServices;
  readonly emit: (outcome: CheckpointOutcome) => void;
  /** Sends to every worker of the attempt that runs. */
  readonly broadcast: (message: ToWorker) => void;
}

export class CheckpointCoordinator {
  readonly #options: CheckpointCoordinatorOptions;
  readonly #counter: CheckpointIdCounter;
  /** Of checkpoints whose manifest is written and that aren't completed yet. */
  readonly #manifests = new Map<number, BlobHandle>();
  #closed = false;

  constructor(options: CheckpointCoordinatorOptions) {
    this.#options = options;
    const { meta, leader } = options.services;
    this.#counter = new CheckpointIdCounter(meta, leader, options.jobId);
  }

  /** Outcomes are told no more; deletions under way end. */
  close(): void {
    this.#closed = true;
  }

  async allocateId({ attempt }: EffectOf<'allocateCheckpointId'>): Promise<void> {
    try {
      this.#emit({ kind: 'idAllocated', attempt, checkpointId: await this.#counter.next() });
    } catch (error) {
      this.#failed(error, (failure) => ({ kind: 'idFailed', attempt, failure }));
    }
  }

  trigger({ kind: _, alignmentTimeoutMs, ...trigger }: EffectOf<'triggerCheckpoint'>): void {
    const value = {
      ...trigger,
      triggeredAtMs: this.#options.services.clock.now(),
      alignmentTimeoutMs: alignmentTimeoutMs ?? undefined,
    };
    this.#options.broadcast({ $case: 'triggerCheckpoint', value });
  }

  notifyComplete({ attempt, checkpointId }: EffectOf<'notifyComplete'>): void {
    const value = { attempt, checkpointId };
    this.#options.broadcast({ $case: 'notifyCheckpointComplete', value });
  }

  notifyAborted({ attempt, checkpointId }: EffectOf<'notifyAborted'>): void {
    const value = { attempt, checkpointId };
    this.#options.broadcast({ $case: 'notifyCheckpointAborted', value });
  }

  async writeManifest(effect: EffectOf<'writeManifest'>): Promise<void> {
    const { checkpointId, manifest, prefix } = effect;
    try {
      const handle = await this.#options.services.writer.write(manifest, prefix);
      this.#manifests.set(checkpointId, handle);
      this.#emit({ kind: 'manifestWritten', checkpointId });
    } catch (error) {
      this.#failed(error, (failure) => ({ kind: 'manifestFailed', checkpointId, failure }));
    }
  }

  /** Asks until the outcome is known: nothing may be decided before that. */
  async complete(effect: EffectOf<'completeCheckpoint'>): Promise<void> {
    const { checkpointId } = effect;
    const { completed, services } = this.#options;
    try {
      const checkpoints = effect.completed.map((checkpoint) => this.#stored(checkpoint));
      await completed.set(checkpoints, this.#savepointOf(checkpoints.at(-1), checkpointId));
      this.#manifests.clear();
      this.#emit({ kind: 'completed', checkpointId });
    } catch (error) {
      if (isMillraceError(error) && error.code === 'STORAGE_UNAVAILABLE' && !this.#closed) {
        services.log.warn({ jobId: this.#options.jobId, checkpointId, err: error }, 'completing');
        const { storageRetryMs } = COORDINATOR_LIMITS;
        services.clock.setTimer(storageRetryMs, () => void this.complete(effect));
        return;
      }
      this.#failed(error, (failure) => ({ kind: 'completionFailed', checkpointId, failure }));
    }
  }

  /** Failing to delete costs space until the next collection, nothing else. */
  async discard({ checkpointId, prefix }: EffectOf<'discardCheckpoint'>): Promise<void> {
    const { jobId, services } = this.#options;
    this.#manifests.delete(checkpointId);
    try {
      await services.writer.discard(prefix);
    } catch (error) {
      services.log.warn({ jobId, checkpointId, err: toMillraceError(error) }, 'discarding');
    }
  }

  async collectOrphans({ keep }: EffectOf<'collectOrphans'>): Promise<void> {
    const { jobId, services } = this.#options;
    try {
      const savepoints = (await listSavepoints(services.meta)).filter(
        (savepoint) => savepoint.jobId === jobId,
      );
      const kept = new Set([...keep, ...savepoints.map(({ checkpointId }) => checkpointId)]);
      await services.writer.collectOrphans(jobId, kept);
    } catch (error) {
      services.log.warn({ jobId, err: toMillraceError(error) }, 'collecting orphans');
    }
  }

  #stored(checkpoint: CompletedCheckpoint): StoredCheckpoint {
    const known = this.#options.completed.checkpoints.find(
      ({ checkpointId }) => checkpointId === checkpoint.checkpointId,
    );
    const manifest = known?.manifest ?? this.#manifests.get(checkpoint.checkpointId);
    if (manifest === undefined) {
      throw toMillraceError(`checkpoint ${checkpoint.checkpointId} has no manifest`);
    }
    return { ...checkpoint, manifest };
  }

  #savepointOf(
    latest: StoredCheckpoint | undefined,
    checkpointId: number,
  ): SavepointRecord | undefined {
    if (latest?.savepointId === undefined || latest.checkpointId !== checkpointId) return undefined;
    const { jobId, jobName } = this.#options;
    return {
      savepointId: latest.savepointId,
      jobId,
      jobName,
      checkpointId,
      createdAtMs: latest.completedAtMs,
      bytes: latest.bytes,
      manifest: latest.manifest,
    };
  }

  #failed(error: unknown, outcome: (failure: SerializedError) => CheckpointOutcome): void {
    const described: MillraceError = toMillraceError(error);
    if (described.code === 'STALE_EPOCH') {
      this.#emit({ kind: 'superseded' });
      this.#options.services.superseded(described.message);
    } else this.#emit(outcome(serializeError(described)));
  }

  #emit(outcome: CheckpointOutcome): void {
    if (!this.#closed) this.#options.emit(outcome);
  }
}
