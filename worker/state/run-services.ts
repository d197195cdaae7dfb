/** What the runs of a slot are to everyone but their log, and what the log needs of the slot. */
import type { KeyGroupRange } from '../../core/key-group.js';
import type { StateForm } from './run-file.js';
import type { RunBytes, RunStorage } from './run-storage.js';

/** A run as a checkpoint names it. */
export interface Run {
  /** In the run storage. */
  readonly name: string;
  /** Those that count. */
  readonly keyGroups: KeyGroupRange;
  readonly lengthBytes: number;
}

/** The runs of a checkpoint, oldest first, held until they are released. */
export interface HeldRuns {
  readonly runs: readonly Run[];
  open(run: Run): RunBytes;
  /**
   * The same state as full runs of key groups that do not meet, made in the background; release both.
   * @throws MillraceError STORAGE_UNAVAILABLE or CHECKPOINT_CORRUPT
   */
  merged(): Promise<HeldRuns>;
  release(): void;
}

/** Plain data, for it may go to another thread. */
export interface MergeRequest {
  readonly operator: string;
  readonly checkpointId: number;
  readonly keyGroups: KeyGroupRange;
  readonly maxParallelism: number;
  /** As they are declared now; rows of others are left out. */
  readonly states: readonly StateForm[];
  /** Stored runs, oldest first, with the key groups that count. */
  readonly inputs: readonly { readonly name: string; readonly keyGroups: KeyGroupRange }[];
  /** The merged runs are named after it. */
  readonly output: string;
  /** Nothing lies before the inputs: what is gone or expired leaves no trace. */
  readonly toBase: boolean;
  /** Processing time, ms. */
  readonly now: number;
  /**
   * All writes before it (processing time, ms) are in the inputs: a list that had expired by then gets no more
   * elements from what comes after them. -Infinity: not known.
   */
  readonly completeUntil: number;
}

/** A run of a log. */
export interface LogRun extends Run {
  /** Rows in it, of all kinds. */
  readonly changes: number;
  /** Which of the runs it is, from 0, that were written as one. */
  readonly part: number;
}

export interface RunMerger {
  /**
   * @returns runs of key groups that do not meet; stored, even when there is nothing in them
   * @throws MillraceError STORAGE_UNAVAILABLE or CHECKPOINT_CORRUPT, and nothing is left in the storage
   */
  merge(request: MergeRequest): Promise<readonly LogRun[]>;
}

/** What a run log needs of its slot. */
export interface RunServices {
  readonly storage: RunStorage;
  readonly merger: RunMerger;
  /** Resolves after whatever else the thread has to do. */
  readonly nextTurn: () => Promise<void>;
  readonly layersMax?: number;
}
