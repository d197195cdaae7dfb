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
import type { SavepointRecord } from './savepoint-record.js';
import type { ToWorker } from './worker-registry.js';

type EffectOf<K extends JobEffect['kind']> = Extract<JobEffect, { kind: K }>;

/** Outcomes, without their stamp. */
export type CheckpointOutcome =
  | {
      readonly kind: 'idAllocated';
      readonly attempt: number;
      readonly checkpointId: number;
      readonly savepointId?: string;
    }
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
  /** Blob key prefixes beside its own that the job has to clean up. */
  readonly claimed: readonly string[];
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
  /** Manifests that are being written. */
  readonly #writing = new Set<Promise<void>>();
  /** Deletions, one after the other: a sweep and a discard of the same files would only collide. */
  #deleting: Promise<void> = Promise.resolve();
  #deletions = 0;
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

  /** Resolves when no manifest is being written any more and all that was to be deleted is. */
  async settled(): Promise<void> {
    await Promise.all(this.#writing);
    await this.#deleting;
  }

  async allocateId({ attempt, savepointId }: EffectOf<'allocateCheckpointId'>): Promise<void> {
    try {
      const checkpointId = await this.#counter.next(savepointId);
      const asked = savepointId === undefined ? {} : { savepointId };
      this.#emit({ kind: 'idAllocated', attempt, checkpointId, ...asked });
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

  writeManifest(effect: EffectOf<'writeManifest'>): void {
    const written = this.#write(effect).finally(() => this.#writing.delete(written));
    this.#writing.add(written);
  }

  async #write(effect: EffectOf<'writeManifest'>): Promise<void> {
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

  discard({ checkpointId, prefix, files, keep }: EffectOf<'discardCheckpoint'>): void {
    this.#manifests.delete(checkpointId);
    this.#delete(() => this.#options.services.collector.discard(prefix, files, keep));
  }

  collectOrphans({ keep, upTo }: EffectOf<'collectOrphans'>): void {
    const { jobId, claimed, services } = this.#options;
    this.#delete(() => services.collector.collectOrphans({ jobId, claimed }, keep, upTo));
  }

  /** Failing to delete costs space until the next sweep, nothing else. */
  #delete(act: () => Promise<void>): void {
    const { jobId, services } = this.#options;
    if (this.#deletions >= COORDINATOR_LIMITS.discardsMax) {
      services.log.warn({ jobId }, 'too many deletions wait; the next sweep finds the files');
      return;
    }
    this.#deletions++;
    this.#deleting = this.#deleting.then(act).then(
      () => {
        this.#deletions--;
      },
      (error: unknown) => {
        this.#deletions--;
        services.log.warn({ jobId, err: toMillraceError(error) }, 'deleting checkpoint files');
      },
    );
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
