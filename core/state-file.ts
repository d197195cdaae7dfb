/** One file of a checkpoint as its task reports it and as the manifest names it. Data only. */

export interface StateFile {
  readonly operator: string;
  readonly kind: 'keyed' | 'operator';
  /** Blob key. */
  readonly key: string;
  readonly lengthBytes: number;
  readonly sha256: string;
  /** Key groups in the file, start included, end excluded; 0 and 0 for operator state. */
  readonly keyGroupStart: number;
  readonly keyGroupEnd: number;
}

/** How long the phases of a task's part in a checkpoint took, ms. */
export interface CheckpointTimings {
  readonly startDelayMs: number;
  readonly alignmentMs: number;
  readonly syncMs: number;
  readonly asyncMs: number;
}
