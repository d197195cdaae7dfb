/**
 * What a job's scaling knows, is told and asks for: its lifecycle as one table of legal transitions,
 * its state, events and effects as types. The decisions themselves are in scaling-decider.ts.
 */
import type { SerializedError } from './errors.js';
import type { SliceLocation, Stamp } from './execution-state.js';
import type { StreamGraph } from './stream-graph.js';

/**
 * IDLE: no attempt wants slots. WAITING: one does, and there are not (yet) those to ask for.
 * REQUESTED: the scheduler was asked. DEPLOYING: granted, tasks are starting. STABLE: the job runs
 * as it should. STABILIZING: it could run otherwise, if the slots stay as they are.
 * PREPARING_SLOTS: it will, and what the next attempt needs is being loaded. CHECKPOINTING: the next checkpoint to complete is the one to go on from. REDEPLOYING: the attempt
 * is being ended for another one that goes on from there.
 */
export const SCALING_TRANSITIONS = {
  IDLE: ['WAITING'],
  WAITING: ['REQUESTED', 'IDLE'],
  REQUESTED: ['WAITING', 'DEPLOYING', 'IDLE'],
  DEPLOYING: ['STABLE', 'IDLE'],
  STABLE: ['STABILIZING', 'PREPARING_SLOTS', 'IDLE'],
  STABILIZING: ['STABLE', 'PREPARING_SLOTS', 'IDLE'],
  PREPARING_SLOTS: ['CHECKPOINTING', 'STABLE', 'IDLE'],
  CHECKPOINTING: ['STABLE', 'REDEPLOYING', 'IDLE'],
  REDEPLOYING: ['WAITING', 'IDLE'],
} as const satisfies Record<string, readonly string[]>;

export type ScalingPhase = keyof typeof SCALING_TRANSITIONS;

export interface ScalingConfig {
  /** Slots that came or went must stay so for this long before a job is moved because of it. */
  readonly stabilizationMs: number;
  /** Least time between two changes that slots which come cause. */
  readonly cooldownMs: number;
  /** How long a new job waits for the slots that it can't do without. */
  readonly slotWaitMs: number;
  /** How long one that has run before does: for workers to come back. */
  readonly recoverySlotWaitMs: number;
}

/** The slots that a job could have: those it holds and those that are free, on workers that stay. */
export interface JobResources {
  readonly slots: number;
  /** Slots of the whole cluster, for messages. */
  readonly slotsTotal: number;
  /** Workers that are about to leave. */
  readonly leaving: readonly string[];
  /** Monotonic time since when no worker has come or gone, and no job given slots back. */
  readonly changedAtMs: number;
}

/**
 * Why a job runs at another parallelism than before: it was asked to, slots came, slots were lost, a
 * worker leaves.
 */
export type RescaleReason = 'REQUESTED' | 'SLOTS_ADDED' | 'SLOTS_LOST' | 'WORKER_LEAVING';

/** A change of parallelism or place, as it is kept and shown. */
export interface RescaleRecord {
  readonly from: number;
  readonly to: number;
  readonly reason: RescaleReason;
  /** The attempt that it led to. */
  readonly attempt: number;
  /** Wall clock, when all tasks ran again. */
  readonly atMs: number;
  /** From the end of the attempt before until all tasks ran again. */
  readonly downtimeMs: number;
}

/** An attempt's claim on slots. */
export interface SlotClaim {
  readonly attempt: number;
  readonly parallelism: number;
  readonly slots: number;
}

/** An attempt that waits for slots. */
export interface SlotWait {
  readonly attempt: number;
  /** Monotonic. */
  readonly sinceMs: number;
  /** It goes on from one that was ended for its sake: nothing is gained by waiting for more. */
  readonly atOnce: boolean;
}

export interface ScalingState {
  readonly streamGraph: StreamGraph;
  readonly config: ScalingConfig;
  /** The parallelism that the job is to run at, slots permitting. */
  readonly desiredParallelism: number;
  /** Run at that parallelism or not at all. */
  readonly exact: boolean;
  readonly phase: ScalingPhase;
  readonly resources: JobResources;
  /** Monotonic time at which the slots that the job could have last were others. */
  readonly slotsChangedAtMs: number;
  readonly waiting: SlotWait | undefined;
  /** What was asked for, then what the attempt runs on. */
  readonly claim: SlotClaim | undefined;
  /** Workers by slice of the current attempt. */
  readonly workers: readonly string[];
  /** Slots that are being prepared, and until when that is waited for (monotonic). */
  readonly preparing: { readonly count: number; readonly untilMs: number } | undefined;
  /** Why the job is on its way to another parallelism or place. */
  readonly reason: RescaleReason | undefined;
  /** What ran before the attempt that is being started, until it runs. */
  readonly before: { readonly claim: SlotClaim; readonly endedAtMs: number } | undefined;
  /** Monotonic time before which slots that come change nothing. */
  readonly cooldownUntilMs: number;
  /** Oldest first. */
  readonly history: readonly RescaleRecord[];
}

export type ScalingEvent = Stamp &
  (
    | { readonly kind: 'resourcesChanged'; readonly resources: JobResources }
    /** Already known to be possible. */
    | { readonly kind: 'rescaleRequested'; readonly parallelism: number }
    | { readonly kind: 'slotsWanted'; readonly attempt: number }
    | { readonly kind: 'slotsUnwanted' }
    | { readonly kind: 'slotsGranted'; readonly slices: readonly SliceLocation[] }
    /** Whatever the next attempt's slots can load ahead is loaded. */
    | { readonly kind: 'slotsPrepared' }
    | { readonly kind: 'attemptRunning' }
    | { readonly kind: 'attemptEnded' }
    /** The running attempt can be left for one that restores from its latest checkpoint. */
    | { readonly kind: 'checkpointCompleted' }
    | { readonly kind: 'timerElapsed' }
  );

export type ScalingEffect =
  | { readonly kind: 'requestSlots'; readonly attempt: number; readonly count: number }
  | { readonly kind: 'cancelSlotRequest'; readonly attempt: number }
  /** The attempt after this one will run on so many slots: load what can be loaded ahead; then slotsPrepared. */
  | { readonly kind: 'prepareSlots'; readonly count: number }
  /** The desired parallelism must survive this coordinator. */
  | { readonly kind: 'recordParallelism'; readonly parallelism: number }
  /** Told to the execution graph. */
  | { readonly kind: 'attemptFailed'; readonly failure: SerializedError }
  | { readonly kind: 'rescaleAttempt' }
  /** Told to the checkpoint decider. */
  | { readonly kind: 'checkpointWanted' };
