/**
 * What the execution graph knows, is told and asks for: its state, events and effects as types. The
 * decisions themselves are in execution-graph.ts.
 */
import type { SerializedError } from './errors.js';
import type {
  Attempt,
  ExecutionState,
  FailureRecord,
  JobStatus,
  SliceLocation,
  Stamp,
  TaskId,
} from './execution-state.js';
import type { JobGraph } from './job-graph.js';
import type { RestartState } from './restart-strategy.js';
import type { RestartStrategyConfig } from './stream-graph.js';

/**
 * What the current attempt waits for: nothing (none runs), its number recorded and its state
 * verified, slots, its end, the end of tasks that have nothing left to commit, its slots' release.
 */
export type AttemptPhase =
  'IDLE' | 'PREPARING' | 'SCHEDULING' | 'DEPLOYED' | 'FINISHING' | 'RELEASING';

export interface TaskExecution {
  readonly task: TaskId;
  readonly state: ExecutionState;
}

export interface SlotExecution extends SliceLocation {
  readonly slice: number;
  readonly released: boolean;
}

export interface ExecutionGraphState {
  readonly jobId: string;
  readonly epoch: number;
  /** At the parallelism of the current attempt, or of the one before while slots are waited for. */
  readonly graph: JobGraph;
  readonly restartConfig: RestartStrategyConfig;
  readonly status: JobStatus;
  /** The highest attempt there has been; 0 before the first. */
  readonly attempt: number;
  readonly phase: AttemptPhase;
  readonly tasks: ReadonlyMap<string, TaskExecution>;
  /** By slice; empty before slots are granted. */
  readonly slots: readonly SlotExecution[];
  readonly restart: RestartState;
  /** Monotonic time before which the next attempt must not start. */
  readonly restartAtMs: number;
  readonly cancelRepeatAtMs: number;
  /** Oldest first. */
  readonly failures: readonly FailureRecord[];
  /** Attempts that were started because one had failed, and because one had been rescaled. */
  readonly restarts: number;
  readonly rescales: number;
  /** Why the job is FAILING or FAILED. */
  readonly terminalFailure?: SerializedError;
}

export type ExecutionEvent = Stamp &
  (
    | { readonly kind: 'submitted' }
    /** A coordinator with this graph's epoch has taken over a job that another one ran. */
    | { readonly kind: 'recovered'; readonly attempt: number; readonly canceling: boolean }
    | { readonly kind: 'attemptPrepared'; readonly attempt: number }
    | {
        readonly kind: 'slotsGranted';
        readonly attempt: number;
        readonly slices: readonly SliceLocation[];
        /** The job at the parallelism for which these slots were asked. */
        readonly graph: JobGraph;
      }
    /** End the attempt for one at another parallelism or place; nothing has failed. */
    | { readonly kind: 'rescaleAttempt' }
    | {
        readonly kind: 'taskState';
        readonly attempt: Attempt;
        readonly task: TaskId;
        readonly state: 'RUNNING' | 'DRAINED' | 'FINISHED' | 'CANCELED' | 'FAILED';
        readonly failure?: SerializedError;
      }
    | {
        readonly kind: 'slotState';
        readonly attempt: Attempt;
        readonly slice: number;
        readonly released: boolean;
        readonly failure?: SerializedError;
      }
    | { readonly kind: 'workerLost'; readonly workerId: string; readonly reason: string }
    /** Preparing, finding slots, checkpointing or anything else outside a task has failed. */
    | {
        readonly kind: 'attemptFailed';
        readonly attempt: number;
        readonly failure: SerializedError;
      }
    | { readonly kind: 'cancelRequested' }
    /** Every task has committed its last checkpoint. */
    | { readonly kind: 'attemptCommitted' }
    /** A compare-and-set met a higher epoch: this coordinator no longer owns the job. */
    | { readonly kind: 'superseded' }
    | { readonly kind: 'timerElapsed' }
  );

export type ExecutionEffect =
  /** Record the attempt's number durably and verify what it restores from; then attemptPrepared. */
  | { readonly kind: 'prepareAttempt'; readonly attempt: Attempt }
  /** A restart is near: load what the next attempt needs while this one ends. */
  | { readonly kind: 'prepareSlots'; readonly count: number }
  /** Told to the scaling decider, which knows how many. */
  | { readonly kind: 'slotsWanted'; readonly attempt: number }
  | { readonly kind: 'slotsUnwanted' }
  /** Slots came for an attempt that no longer wants them. */
  | {
      readonly kind: 'returnSlots';
      readonly attempt: number;
      readonly slices: readonly SliceLocation[];
    }
  | {
      readonly kind: 'deploySlot';
      readonly attempt: Attempt;
      readonly slice: number;
      readonly slices: readonly SliceLocation[];
      /** Of the operators that fix none. */
      readonly parallelism: number;
    }
  | {
      readonly kind: 'cancelAttempt';
      readonly attempt: Attempt;
      readonly workers: readonly string[] | 'all';
    }
  | {
      readonly kind: 'finishAttempt';
      readonly attempt: Attempt;
      readonly workers: readonly string[];
    }
  /** The user's wish to cancel must survive this coordinator. */
  | { readonly kind: 'recordCancel' }
  | {
      readonly kind: 'jobTerminal';
      readonly status: JobStatus;
      readonly failure?: SerializedError;
    }
  /** Told to the checkpoint decider and the scaling decider. */
  | {
      readonly kind: 'attemptRunning';
      readonly attempt: Attempt;
      readonly tasks: readonly TaskId[];
    }
  | { readonly kind: 'attemptDrained' }
  | { readonly kind: 'attemptEnded' }
  | { readonly kind: 'attemptReleased' };
