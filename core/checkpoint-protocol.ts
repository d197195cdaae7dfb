/**
 * What the checkpoint decider knows, is told and asks for: its state, events and effects as types.
 * The decisions themselves are in checkpoint-decider.ts.
 */
import type { CheckpointHistory } from './checkpoint-history.js';
import type { SerializedError } from './errors.js';
import type { Attempt, Stamp, TaskId } from './execution-state.js';
import type { FileReferences } from './file-references.js';
import type {
  PendingCheckpoint,
  SavepointRequest,
  TaskAcknowledgement,
} from './pending-checkpoint.js';
import type { CheckpointConfig } from './stream-graph.js';

/** What the pointer in the meta store names. */
export interface CompletedCheckpoint {
  readonly checkpointId: number;
  /** Present for a savepoint, whose files are the user's, unless the job has claimed it. */
  readonly savepointId?: string;
  /** The job was started from this savepoint and owns it: it goes as a checkpoint does. */
  readonly claimed?: true;
  /** Blob key prefix of its files and manifest. */
  readonly prefix: string;
  /** Of all files that it names, also those that an earlier checkpoint wrote. */
  readonly bytes: number;
  /** Wall clock, ms since the epoch. */
  readonly completedAtMs: number;
}

/** What is known of a job's checkpoints when its decider is made. */
export interface KnownCheckpoints {
  /** What the job's pointer names, oldest first. */
  readonly completed: readonly CompletedCheckpoint[];
  /** What the manifests of those name that the job owns. */
  readonly references: FileReferences;
  /** The last id that was taken, by whomever; 0: none. */
  readonly allocatedId: number;
}

/** Files that no pointer will ever name. */
export interface AbortedCheckpoint {
  readonly checkpointId: number;
  readonly prefix: string;
}

/** Sinks that have not yet said that they committed the latest completed checkpoint. */
export interface Committing {
  readonly checkpointId: number;
  readonly waiting: ReadonlyMap<string, TaskId>;
  readonly repeatAtMs: number;
}

export interface RunningAttempt {
  readonly attempt: Attempt;
  readonly drained: boolean;
}

export interface CheckpointDeciderState {
  readonly jobId: string;
  readonly config: CheckpointConfig;
  /** Of the attempt that runs, or ran last. */
  readonly tasks: readonly TaskId[];
  /** Undefined while no attempt has all of its tasks running. */
  readonly running: RunningAttempt | undefined;
  readonly nextTriggerAtMs: number;
  /** Monotonic time before which a final checkpoint must not be tried. */
  readonly finalAtMs: number;
  readonly pending: PendingCheckpoint | undefined;
  readonly savepoints: readonly SavepointRequest[];
  /** Oldest first; the last one is what a restart restores from. */
  readonly completed: readonly CompletedCheckpoint[];
  /** Of the completed checkpoints that the job owns; one whose manifest can't be read is missing. */
  readonly references: FileReferences;
  /** Highest id under which there may be files; later checkpoints have higher ones. */
  readonly triggeredId: number;
  /** There may be files that nothing names, left by an attempt or coordinator before. */
  readonly sweepDue: boolean;
  /** Whoever was lost may still have been writing: swept once more after the next completion. */
  readonly resweepDue: boolean;
  readonly committing: Committing | undefined;
  /** The checkpoint after whose commits the attempt has nothing left to do. */
  readonly lastCheckpointId: number | undefined;
  /** The stop-with-savepoint whose caller is answered once the attempt has committed. */
  readonly stopping: CompletedCheckpoint | undefined;
  readonly consecutiveFailures: number;
  /** Aborted while their manifest was being written: their files go when that has ended. */
  readonly abortedWrites: readonly AbortedCheckpoint[];
  /** Aborted in this attempt: tasks may still have been uploading, so they are discarded once more. */
  readonly aborted: readonly AbortedCheckpoint[];
  readonly history: CheckpointHistory;
}

export type CheckpointEvent = Stamp &
  (
    | {
        readonly kind: 'attemptRunning';
        readonly attempt: Attempt;
        readonly tasks: readonly TaskId[];
      }
    /** Somebody waits for the next one to complete: it is taken now. */
    | { readonly kind: 'checkpointWanted' }
    | { readonly kind: 'attemptDrained' }
    | { readonly kind: 'attemptEnded' }
    | { readonly kind: 'attemptReleased' }
    | { readonly kind: 'recovered' }
    | { readonly kind: 'jobEnded' }
    /** Another coordinator owns the job: everything here is forgotten, nothing is deleted. */
    | { readonly kind: 'superseded' }
    | { readonly kind: 'savepointRequested'; readonly request: SavepointRequest }
    | {
        readonly kind: 'idAllocated';
        readonly attempt: number;
        readonly checkpointId: number;
        /** The savepoint that it was asked for. */
        readonly savepointId?: string;
      }
    | {
        readonly kind: 'idFailed';
        readonly attempt: number;
        readonly failure: SerializedError;
      }
    | ({
        readonly kind: 'acknowledged';
        readonly attempt: Attempt;
        readonly checkpointId: number;
      } & TaskAcknowledgement)
    | {
        readonly kind: 'declined';
        readonly attempt: Attempt;
        readonly checkpointId: number;
        readonly task: TaskId;
        readonly failure: SerializedError;
      }
    | {
        readonly kind: 'committed';
        readonly attempt: Attempt;
        readonly checkpointId: number;
        readonly task: TaskId;
      }
    | { readonly kind: 'manifestWritten'; readonly checkpointId: number }
    | {
        readonly kind: 'manifestFailed';
        readonly checkpointId: number;
        readonly failure: SerializedError;
      }
    /** The compare-and-set happened. */
    | { readonly kind: 'completed'; readonly checkpointId: number }
    /** The compare-and-set is known not to have happened and never to happen. */
    | {
        readonly kind: 'completionFailed';
        readonly checkpointId: number;
        readonly failure: SerializedError;
      }
    | { readonly kind: 'timerElapsed' }
  );

export type CheckpointEffect =
  /** Take the next id; of a savepoint, note durably that there will be files under its prefix. */
  | {
      readonly kind: 'allocateCheckpointId';
      readonly attempt: number;
      readonly savepointId?: string;
    }
  | {
      readonly kind: 'triggerCheckpoint';
      readonly attempt: Attempt;
      readonly checkpointId: number;
      readonly prefix: string;
      readonly stopAfter: boolean;
      /** When its barriers overtake, ms after the trigger; null: never. */
      readonly alignmentTimeoutMs: number | null;
    }
  | {
      readonly kind: 'writeManifest';
      readonly attempt: Attempt;
      readonly checkpointId: number;
      readonly prefix: string;
      readonly savepointId?: string;
      readonly acknowledged: PendingCheckpoint['acknowledged'];
    }
  /** Set the job's pointer to `completed`, if it still holds what it held under this epoch. */
  | {
      readonly kind: 'completeCheckpoint';
      readonly checkpointId: number;
      readonly completed: readonly CompletedCheckpoint[];
    }
  | {
      readonly kind: 'notifyComplete';
      readonly attempt: Attempt;
      readonly checkpointId: number;
      /** Those that have not yet committed it. */
      readonly tasks: readonly TaskId[];
    }
  | {
      readonly kind: 'notifyAborted';
      readonly attempt: Attempt;
      readonly checkpointId: number;
    }
  /** Delete everything under the prefix but `keep`, and `files` besides; no pointer names it. */
  | {
      readonly kind: 'discardCheckpoint';
      readonly checkpointId: number;
      readonly prefix: string;
      readonly files: readonly string[];
      readonly keep: readonly string[];
    }
  /** Delete what the job's checkpoints up to this one have left and `keep` does not name. */
  | {
      readonly kind: 'collectOrphans';
      readonly upTo: number;
      readonly keep: readonly string[];
    }
  | {
      readonly kind: 'savepointCompleted';
      readonly savepointId: string;
      readonly checkpointId: number;
      readonly prefix: string;
    }
  | {
      readonly kind: 'savepointFailed';
      readonly savepointId: string;
      readonly failure: SerializedError;
    }
  /** Told to the execution graph. */
  | { readonly kind: 'failAttempt'; readonly failure: SerializedError }
  | { readonly kind: 'attemptCommitted' };

/** A step in the making: the parts of the decider change `state` and add to `effects`. */
export interface CheckpointDraft {
  state: CheckpointDeciderState;
  readonly effects: CheckpointEffect[];
}
