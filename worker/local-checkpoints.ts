/**
 * Which copies of checkpoint files stay on this machine (journey of a restore: local checkpoints ->
 * slot): of each job that runs here those of the latest checkpoint that is known to be complete, and
 * of later ones that are being taken. Slots make the copies; only the worker's main thread removes
 * them. Nothing here is needed for correctness, so what can't be removed now goes with the folder.
 */
import { readdir, rm } from 'node:fs/promises';
import path from 'node:path';
import type { Clock } from '../core/clock.js';
import type { StateFile } from '../core/state-file.js';
import { checkpointOf, copyName, fileOf } from './local-run-copies.js';

/** How long copies wait for a job that no longer runs here to come back. */
const UNUSED_MS = 10 * 60_000;

interface KeptJob {
  /** Files of checkpoints that tasks here have acknowledged, by checkpoint; not known to be complete. */
  readonly acknowledged: Map<number, Set<string>>;
  slots: number;
  cancelRemoval: () => void;
}

export class LocalCheckpoints {
  readonly #folder: string;
  readonly #clock: Clock;
  readonly #jobs = new Map<string, KeptJob>();

  constructor(folder: string, clock: Clock) {
    this.#folder = folder;
    this.#clock = clock;
  }

  /** Where the slots of a job have their copies. */
  folderOf(jobId: string): string {
    return path.join(this.#folder, jobId);
  }

  slotStarted(jobId: string): void {
    const job = this.#jobs.get(jobId) ?? {
      acknowledged: new Map<number, Set<string>>(),
      slots: 0,
      cancelRemoval: () => undefined,
    };
    this.#jobs.set(jobId, job);
    job.cancelRemoval();
    job.slots++;
  }

  slotEnded(jobId: string): void {
    const job = this.#jobs.get(jobId);
    if (job === undefined) return void this.jobEnded(jobId);
    if (--job.slots > 0) return;
    job.acknowledged.clear();
    job.cancelRemoval = this.#clock.setTimer(UNUSED_MS, () => void this.jobEnded(jobId));
  }

  /** A task of this worker has its part of a checkpoint stored. */
  acknowledged(jobId: string, checkpointId: number, files: readonly StateFile[]): void {
    const job = this.#jobs.get(jobId);
    if (job === undefined) return;
    const named = job.acknowledged.get(checkpointId) ?? new Set<string>();
    for (const { key } of files) named.add(fileOf(copyName(checkpointId, key)));
    job.acknowledged.set(checkpointId, named);
  }

  /** Earlier checkpoints are not restored any more. */
  async completed(jobId: string, checkpointId: number): Promise<void> {
    const acknowledged = this.#jobs.get(jobId)?.acknowledged;
    const named = acknowledged?.get(checkpointId);
    // Told of it again.
    if (acknowledged === undefined || named === undefined) return;
    for (const id of acknowledged.keys()) if (id <= checkpointId) acknowledged.delete(id);
    await this.#remove(
      jobId,
      (name) => checkpointOf(name) <= checkpointId && !named.has(fileOf(name)),
    );
  }

  async aborted(jobId: string, checkpointId: number): Promise<void> {
    this.#jobs.get(jobId)?.acknowledged.delete(checkpointId);
    await this.#remove(jobId, (name) => checkpointOf(name) === checkpointId);
  }

  /** It will not be restored here again. */
  async jobEnded(jobId: string): Promise<void> {
    this.#jobs.get(jobId)?.cancelRemoval();
    this.#jobs.delete(jobId);
    await rm(this.folderOf(jobId), { recursive: true, force: true }).catch(() => undefined);
  }

  /** Waits for nothing any more; the folder goes with the worker's. */
  close(): void {
    for (const { cancelRemoval } of this.#jobs.values()) cancelRemoval();
    this.#jobs.clear();
  }

  async #remove(jobId: string, isUseless: (name: string) => boolean): Promise<void> {
    const folder = this.folderOf(jobId);
    const names = await readdir(folder).catch((): string[] => []);
    await Promise.allSettled(
      names.filter(isUseless).map((name) => rm(path.join(folder, name), { force: true })),
    );
  }
}
