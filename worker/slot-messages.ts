/**
 * What a worker's main thread and a slot's thread say to each other. Chunks travel by transfer; all
 * else is small and cloned.
 */
import type { SerializedError } from '../core/errors.js';
import type { CheckpointTimings, StateFile } from '../core/state-file.js';
import type { Buffer as ChannelBuffer, CheckpointBarrier } from './network/buffer.js';
import type { MergeReply } from './merge-task.js';
import type { DatabaseConnection } from './state/cold/database-messages.js';
import type { MergeRequest } from './state/run-services.js';
import type { OperatorReport } from './task/operator-chain.js';
import type { RestoredBytes } from './task/task-slot.js';
import type { TaskId } from './task/task-environment.js';

/** What makes a thread that has loaded its bundle a slot of an attempt. */
export interface SlotDeployment {
  readonly jobId: string;
  readonly attempt: number;
  readonly slice: number;
  readonly parallelism: number;
  /** Text of the manifest of the checkpoint to restore. */
  readonly restoreManifest: string | undefined;
  /** Whether the job's checkpoints may name files of that one. */
  readonly ownsRestored: boolean;
  /** State in the checkpoint that the job no longer declares is left out instead of refused. */
  readonly allowNonRestoredState: boolean;
  readonly checkpointStorage: string;
  /** Folder for the slot's runs; its thread makes it. */
  readonly stateFolder: string;
  /** Folder for copies of the job's checkpoint files, which outlive the slot. */
  readonly copiesFolder: string;
  /** The slot's database, in a job whose state may outgrow memory; its port is transferred. */
  readonly database: DatabaseConnection | undefined;
  /** How often metrics are reported, ms. */
  readonly metricsIntervalMs: number;
}

export type ToSlot =
  /** The first message, and the only one of its kind. */
  | { readonly kind: 'deploy'; readonly deployment: SlotDeployment }
  | { readonly kind: 'buffers'; readonly channels: number[]; readonly buffers: ChannelBuffer[] }
  | { readonly kind: 'credits'; readonly channels: number[]; readonly counts: number[] }
  | { readonly kind: 'trigger'; readonly barrier: CheckpointBarrier }
  | { readonly kind: 'complete'; readonly checkpointId: number }
  | { readonly kind: 'aborted'; readonly checkpointId: number }
  | { readonly kind: 'merged'; readonly id: number; readonly reply: MergeReply }
  /** Close all tasks in order and end the thread. */
  | { readonly kind: 'finish' }
  /** Close all tasks, whatever they were doing, and say when that is done. */
  | { readonly kind: 'cancel' };

export interface TaskMetricsReport {
  readonly task: TaskId;
  readonly operators: readonly OperatorReport[];
  readonly busyMs: number;
  readonly backPressuredMs: number;
  /** -Infinity before the first. */
  readonly watermark: number;
}

/** Of a slot whose state may outgrow memory; counts since it began. */
export interface SlotStateReport {
  readonly slice: number;
  readonly liveBytes: number;
  readonly coldBytes: number;
  readonly hits: number;
  readonly misses: number;
  readonly evictions: number;
}

export type FromSlot =
  /** The bundle is loaded: what is deployed now starts at once. */
  | { readonly kind: 'loaded' }
  | { readonly kind: 'buffers'; readonly channels: number[]; readonly buffers: ChannelBuffer[] }
  | { readonly kind: 'credits'; readonly channels: number[]; readonly counts: number[] }
  | { readonly kind: 'restored'; readonly bytes: RestoredBytes }
  | { readonly kind: 'running'; readonly task: TaskId }
  | { readonly kind: 'drained'; readonly task: TaskId }
  | { readonly kind: 'failed'; readonly task: TaskId | undefined; readonly error: SerializedError }
  | {
      readonly kind: 'acknowledged';
      readonly task: TaskId;
      readonly checkpointId: number;
      readonly files: readonly StateFile[];
      readonly timings: CheckpointTimings;
    }
  | {
      readonly kind: 'declined';
      readonly task: TaskId;
      readonly checkpointId: number;
      readonly error: SerializedError;
    }
  | { readonly kind: 'committed'; readonly task: TaskId; readonly checkpointId: number }
  | {
      readonly kind: 'metrics';
      readonly tasks: readonly TaskMetricsReport[];
      readonly state?: SlotStateReport | undefined;
      /** ms that the reports cover, since the last ones. */
      readonly intervalMs: number;
    }
  | { readonly kind: 'merge'; readonly id: number; readonly request: MergeRequest }
  | { readonly kind: 'finished'; readonly tasks: readonly TaskId[] }
  | { readonly kind: 'closed' };

/** What the rest of the worker hears of it. */
export type SlotReport = Exclude<FromSlot, { readonly kind: 'closed' }>;

/** The memory of the chunks among the buffers, to be transferred; several chunks may share one. */
export function transferList(buffers: readonly ChannelBuffer[]): ArrayBuffer[] {
  const memory = new Set<ArrayBuffer>();
  for (const buffer of buffers) {
    if (buffer.kind === 'chunk' && buffer.bytes.buffer instanceof ArrayBuffer) {
      memory.add(buffer.bytes.buffer);
    }
  }
  return [...memory];
}
