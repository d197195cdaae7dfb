/**
 * What happened to a job's checkpoints since this coordinator has it, for the REST API and metrics.
 * It only watches; it must never decide whether a checkpoint is completed.
 */
import type {
  CheckpointDetails,
  JobCheckpoints,
  TaskCheckpointTimings,
} from '../api/rest/checkpoint-dto.js';
import { savepointIdOf, type CheckpointKind } from '../core/checkpoint-location.js';
import type { TaskId } from '../core/execution-state.js';
import type { CheckpointTimings, StateFile } from '../core/state-file.js';
import { COORDINATOR_LIMITS } from './limits.js';

type Entry = { -readonly [K in keyof CheckpointDetails]: CheckpointDetails[K] };

export interface TriggeredCheckpoint {
  readonly checkpointId: number;
  readonly kind: CheckpointKind;
  readonly attempt: number;
  readonly tasks: number;
  readonly triggeredAtMs: number;
}

export class CheckpointHistory {
  readonly #jobId: string;
  readonly #counts = { triggered: 0, inProgress: 0, completed: 0, failed: 0, restored: 0 };
  /** Newest first. */
  readonly #entries: Entry[] = [];
  #latestCompleted: Entry | undefined;

  constructor(jobId: string) {
    this.#jobId = jobId;
  }

  triggered({ checkpointId, kind, attempt, tasks, triggeredAtMs }: TriggeredCheckpoint): void {
    this.#counts.triggered++;
    this.#counts.inProgress++;
    this.#entries.unshift({
      checkpointId,
      kind,
      status: 'IN_PROGRESS',
      savepointId: kind === 'savepoint' ? savepointIdOf(this.#jobId, checkpointId) : null,
      attempt,
      triggeredAtMs,
      durationMs: null,
      bytes: 0,
      acknowledged: 0,
      tasks,
      failure: null,
      taskTimings: [],
    });
    this.#entries.splice(COORDINATOR_LIMITS.checkpointHistoryMax);
  }

  acknowledged(
    checkpointId: number,
    task: TaskId,
    files: readonly StateFile[],
    timings: CheckpointTimings,
  ): void {
    const entry = this.#inProgress(checkpointId);
    if (entry === undefined || entry.taskTimings.some((other) => isTask(other, task))) return;
    const bytes = files.reduce((sum, file) => sum + file.lengthBytes, 0);
    entry.bytes += bytes;
    entry.acknowledged++;
    entry.taskTimings = [...entry.taskTimings, { ...task, ...timings, bytes }];
  }

  /** @returns how long it took, ms; undefined when it wasn't in progress */
  completed(checkpointId: number, atMs: number): number | undefined {
    const entry = this.#end(checkpointId, 'COMPLETED', atMs);
    if (entry !== undefined) this.#latestCompleted = entry;
    return entry?.durationMs ?? undefined;
  }

  /** @returns false when it wasn't in progress */
  failed(checkpointId: number, failure: string, atMs: number): boolean {
    const entry = this.#end(checkpointId, 'FAILED', atMs);
    if (entry !== undefined) entry.failure = failure;
    return entry !== undefined;
  }

  restored(): void {
    this.#counts.restored++;
  }

  find(checkpointId: number): CheckpointDetails | undefined {
    return this.#entries.find((entry) => entry.checkpointId === checkpointId);
  }

  findSavepoint(savepointId: string): CheckpointDetails | undefined {
    return this.#entries.find((entry) => entry.savepointId === savepointId);
  }

  view(jobName: string): JobCheckpoints {
    return {
      jobId: this.#jobId,
      jobName,
      counts: { ...this.#counts },
      latestCompleted: this.#latestCompleted ?? null,
      history: [...this.#entries],
    };
  }

  #end(checkpointId: number, status: 'COMPLETED' | 'FAILED', atMs: number): Entry | undefined {
    const entry = this.#inProgress(checkpointId);
    if (entry === undefined) return undefined;
    entry.status = status;
    entry.durationMs = Math.max(0, atMs - entry.triggeredAtMs);
    this.#counts.inProgress--;
    this.#counts[status === 'COMPLETED' ? 'completed' : 'failed']++;
    return entry;
  }

  #inProgress(checkpointId: number): Entry | undefined {
    return this.#entries.find(
      (entry) => entry.checkpointId === checkpointId && entry.status === 'IN_PROGRESS',
    );
  }
}

function isTask(timings: TaskCheckpointTimings, task: TaskId): boolean {
  return timings.vertex === task.vertex && timings.subtask === task.subtask;
}
