/**
 * What a task needs from its surroundings. In a slot these reach the coordinator and the file
 * system; in the simulation and in the local runner they are plain objects. A task must never reach
 * past them.
 */
import type { Clock } from '../../core/clock.js';
import type { MillraceError } from '../../core/errors.js';
import type { CheckpointTimings, StateFile } from '../../core/state-file.js';

export interface TaskId {
  readonly vertex: string;
  readonly subtask: number;
}

/** Where a task's part of a checkpoint goes. */
export interface CheckpointStorage {
  /**
   * Resolves once the file is durable. `prefix` is the checkpoint's; `name` is unique under it.
   * @param pieces each is there until the next is asked for
   */
  write(
    prefix: string,
    name: string,
    pieces: Iterable<Uint8Array>,
  ): Promise<{ readonly key: string; readonly lengthBytes: number; readonly sha256: string }>;
  /** The file's bytes, with length and checksum verified. */
  read(file: StateFile): Promise<Uint8Array>;
}

/** Copies of checkpoint files on this machine, so that a restore need not fetch them. */
export interface LocalRecovery {
  /** A run is this file of a checkpoint. Never fails: without a copy the file is fetched. */
  keep(run: string, file: StateFile, checkpointId: number): Promise<void>;
  /** Puts the file into the run storage under this name; false when there is no whole copy of it. */
  take(file: StateFile, run: string): Promise<boolean>;
}

/** What a task reports; none of it waits for an answer. */
export interface TaskReports {
  running(task: TaskId): void;
  /** All input has ended and is flushed; barriers are still taken. */
  drained(task: TaskId): void;
  failed(task: TaskId, error: MillraceError): void;
  acknowledged(
    task: TaskId,
    checkpointId: number,
    files: readonly StateFile[],
    timings: CheckpointTimings,
  ): void;
  declined(task: TaskId, checkpointId: number, error: MillraceError): void;
  /** The task's sinks have committed everything up to this checkpoint. */
  committed(task: TaskId, checkpointId: number): void;
}

export interface TaskEnvironment {
  readonly clock: Clock;
  readonly storage: CheckpointStorage;
  /** Undefined where nothing is kept beyond the slot. */
  readonly local: LocalRecovery | undefined;
  readonly reports: TaskReports;
  /** Asks the slot's scheduler for a turn. */
  readonly wake: () => void;
}
