/**
 * The life of an operator inside a task. Map, filter and flatMap have no object of their own: the
 * chain compiler writes them into the code between operators. Every method but `open`, `drain` and
 * `close` is synchronous; an operator that has to wait says so through `suspended`.
 */
import type { KeyedStateSnapshot } from '../state/keyed-state-backend.js';

/** Where an operator puts what it produces; made by the chain compiler. */
export interface OperatorOutput {
  collect(value: unknown, timestamp: number): void;
  sideOutput(name: string, value: unknown, timestamp: number): void;
  /** Event time has advanced for everything after this operator. */
  emitWatermark(timestamp: number): void;
  emitWatermarkStatus(idle: boolean): void;
}

/** Entries of operator state, to be encoded with the schema; redistributed one by one on rescale. */
export interface OperatorStateSnapshot {
  /** Resolves once what the entries refer to is durable (a sink's epoch). */
  readonly entries: Promise<readonly unknown[]> | readonly unknown[];
}

export interface OperatorSnapshot {
  readonly keyed?: KeyedStateSnapshot;
  readonly operator?: OperatorStateSnapshot;
}

export interface StreamOperator {
  readonly name: string;
  open(): Promise<void>;
  /** Absent for sources. */
  processElement?(value: unknown, timestamp: number): void;
  /** A record that every subtask is given. Only where the operator has a broadcast input. */
  processBroadcastElement?(value: unknown, timestamp: number): void;
  /** A whole batch is about to come to `processElement`; present where knowing that in advance pays. */
  prefetch?(values: readonly unknown[], timestamps: ArrayLike<number>, count: number): void;
  /** Time advances. What that sets off may be more than one piece of work: `proceed` does the rest. */
  processWatermark(timestamp: number): void;
  /**
   * Does a bounded piece of what an earlier call has left to do; true while there is more. The task asks before it
   * takes further input, and only while its outputs have room.
   */
  proceed(): boolean;
  processWatermarkStatus(idle: boolean): void;
  /** A promise while the operator wants no more records. */
  suspended(): Promise<void> | undefined;
  /**
   * Everything taken in so far has come out when the returned promise resolves; undefined when that
   * is so already. Called before a barrier and at the end of the input.
   */
  drain(): Promise<void> | undefined;
  /** False while what `proceed` has left to do can't be told from the state; a snapshot then waits for it. */
  canSnapshot(): boolean;
  /** The synchronous part of a snapshot: the state as of this call. */
  snapshot(checkpointId: number): OperatorSnapshot;
  /** Resolves once everything that had to wait for the checkpoint is done. */
  notifyCheckpointComplete(checkpointId: number): Promise<void>;
  /** The checkpoint will never be complete. */
  notifyCheckpointAborted?(checkpointId: number): void;
  /** Processing time advanced; fires due timers. Returns when it wants to be called next (ms since the epoch). */
  advanceProcessingTime(now: number): number | undefined;
  close(): Promise<void>;
}
