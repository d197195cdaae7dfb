/** One file of a checkpoint as its task reports it and as the manifest lists it. Data only. */

/** 'channel': in-flight data, which belongs to the vertex that consumes it; `operator` is that vertex' head. */
export const STATE_FILE_KINDS = ['keyed', 'operator', 'channel'] as const;
export type StateFileKind = (typeof STATE_FILE_KINDS)[number];

export interface StateFile {
  readonly operator: string;
  readonly kind: StateFileKind;
  /** Blob key. */
  readonly key: string;
  readonly lengthBytes: number;
  readonly sha256: string;
  /** Key groups in the file, start included, end excluded; 0 and 0 for other kinds than 'keyed'. */
  readonly keyGroupStart: number;
  readonly keyGroupEnd: number;
}

/** How a task took part in a checkpoint, and how long each phase took, ms. */
export interface CheckpointTimings {
  /** Whether the barrier overtook in this task. */
  readonly unaligned: boolean;
  readonly startDelayMs: number;
  readonly alignmentMs: number;
  readonly syncMs: number;
  readonly asyncMs: number;
}

export interface TaskFiles {
  readonly subtask: number;
  readonly files: readonly StateFile[];
}

export interface VertexFiles {
  readonly vertex: string;
  readonly parallelism: number;
  /** One entry for each subtask, in order. */
  readonly tasks: readonly TaskFiles[];
}
