/**
 * The seam between the simulated processes and the world that they live in: what they say to each
 * other (the messages of control.proto that the protocol needs), and what they may ask of the world.
 */
import type { CompletedCheckpoint } from '../../core/checkpoint-protocol.js';
import type { Attempt, SliceLocation, Stamp } from '../../core/execution-state.js';
import type { JobEvent } from '../../core/job-decider.js';
import type { Buffer as ChannelBuffer, CheckpointBarrier } from '../../worker/network/buffer.js';
import type { RestoredCheckpoint } from '../../worker/task/task-slot.js';
import type { EventLoop, SimulatedNetwork, SimulatedProcess } from './event-loop.js';
import type { Mutation } from './mutants.js';
import type { JobHooks } from './simulated-job.js';
import type { SimulatedStore } from './simulated-store.js';

export interface Deployment {
  readonly attempt: Attempt;
  readonly slice: number;
  readonly slices: readonly SliceLocation[];
  readonly parallelism: number;
  readonly restore: RestoredCheckpoint | undefined;
}

/** The decider's own events, before the coordinator stamps them. */
type WithoutStamp<E> = E extends Stamp ? Omit<E, keyof Stamp> : never;
type CoreReport = Extract<
  JobEvent,
  { readonly kind: 'taskState' | 'slotState' | 'acknowledged' | 'declined' | 'committed' }
>;

/** Worker to coordinator: the messages of control.proto that the protocol needs. */
export type WorkerReport =
  { readonly kind: 'register'; readonly freeSlots: number } | WithoutStamp<CoreReport>;

/** Coordinator to worker. */
export type WorkerCommand =
  | { readonly kind: 'deploy'; readonly deployment: Deployment }
  | { readonly kind: 'cancel'; readonly attempt: number }
  | { readonly kind: 'finish'; readonly attempt: Attempt }
  | { readonly kind: 'trigger'; readonly attempt: Attempt; readonly barrier: CheckpointBarrier }
  | { readonly kind: 'complete'; readonly attempt: Attempt; readonly checkpointId: number }
  | { readonly kind: 'aborted'; readonly attempt: Attempt; readonly checkpointId: number };

/** A worker as its peers reach it. */
export interface Peer {
  readonly process: SimulatedProcess;
  onBuffer(attempt: Attempt, slice: number, channel: number, buffer: ChannelBuffer): void;
  onCredits(attempt: Attempt, slice: number, channel: number, count: number): void;
}

/** The coordinator's end of a worker's session. */
export interface Session {
  readonly process: SimulatedProcess;
  onReport(workerId: string, report: WorkerReport): void;
  /** The worker's connection broke, or its heartbeats stopped. */
  loseWorker(workerId: string, reason: string): void;
  /** The worker is about to end. */
  leave(workerId: string): void;
}

export interface Cluster {
  readonly loop: EventLoop;
  readonly network: SimulatedNetwork;
  readonly store: SimulatedStore;
  readonly mutation: Mutation;
  readonly hooks: JobHooks;
  readonly workerIds: readonly string[];
  /** Whether the job runs at its desired parallelism or not at all. */
  readonly exactParallelism: boolean;
  /** The coordinator that leads now. */
  readonly leader: Session;
  peer(workerId: string): Peer | undefined;
  /** A report on the worker's session; lost with the coordinator at its other end. */
  report(workerId: string, session: Session, report: WorkerReport): void;
  /** A command on the worker's session; a worker has one session at a time. */
  command(from: Session, workerId: string, command: WorkerCommand): void;
  /** The pointer has just been set: what it names must exist. */
  onCompleted(completed: readonly CompletedCheckpoint[]): void;
  /** The coordinator refused what a task acknowledged: it named a file that the job does not hold. */
  onStrayFile(reason: string): void;
  onSavepoint(): void;
  onRescaled(): void;
  onNotificationLost(): void;
}
