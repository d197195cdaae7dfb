/**
 * What travels on a channel, in order: chunks of records and the events between them. Chunks cost a
 * credit; events do not, so a barrier can never be stuck for want of one.
 */

/** Records handed over inside one slot, without encoding. */
export interface RecordBatch {
  readonly kind: 'batch';
  readonly values: unknown[];
  readonly timestamps: number[];
}

/** Records encoded with the edge's codec. */
export interface RecordChunk {
  readonly kind: 'chunk';
  readonly bytes: Uint8Array;
}

export interface Watermark {
  readonly kind: 'watermark';
  /** ms since the epoch; MAX_WATERMARK at the end of the input. */
  readonly timestamp: number;
}

/** The channel has nothing to say about time until it says otherwise. */
export interface WatermarkStatus {
  readonly kind: 'watermarkStatus';
  readonly idle: boolean;
}

export interface CheckpointBarrier {
  readonly kind: 'barrier';
  readonly checkpointId: number;
  /** When the coordinator triggered the checkpoint, ms since the epoch by its clock. */
  readonly triggeredAtMs: number;
  /** Blob key prefix of the checkpoint's files, with a slash at the end. */
  readonly prefix: string;
  /** Sources emit nothing after this barrier. */
  readonly stopAfter: boolean;
  /**
   * How long after the trigger the barrier overtakes what is queued before it, ms; 0: at once, as an upstream barrier
   * already has; null: never, it stays in its place.
   */
  readonly alignmentTimeoutMs: number | null;
}

/** No more records; barriers may still follow. */
export interface EndOfData {
  readonly kind: 'endOfData';
}

export type StreamEvent = Watermark | WatermarkStatus | CheckpointBarrier | EndOfData;
export type Buffer = RecordBatch | RecordChunk | StreamEvent;

/** What a checkpoint keeps of a channel whose barrier overtook it. */
export type InFlightBuffer = RecordBatch | RecordChunk | Watermark;

export function isRecords(buffer: Buffer): buffer is RecordBatch | RecordChunk {
  return buffer.kind === 'batch' || buffer.kind === 'chunk';
}

/**
 * The end of data and idleness are not kept: a restored producer says them again, and until it does a channel
 * that is taken for active only holds time back.
 */
export function isInFlight(buffer: Buffer): buffer is InFlightBuffer {
  return buffer.kind === 'watermark' || isRecords(buffer);
}
