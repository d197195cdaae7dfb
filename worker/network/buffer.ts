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
}

/** No more records; barriers may still follow. */
export interface EndOfData {
  readonly kind: 'endOfData';
}

export type StreamEvent = Watermark | WatermarkStatus | CheckpointBarrier | EndOfData;
export type Buffer = RecordBatch | RecordChunk | StreamEvent;

export function isRecords(buffer: Buffer): buffer is RecordBatch | RecordChunk {
  return buffer.kind === 'batch' || buffer.kind === 'chunk';
}
