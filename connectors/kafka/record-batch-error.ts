/**
 * Why bytes are not a record batch, or records do not make one. The codec knows offsets only: who
 * calls it adds topic and partition, and decides who must act. These errors carry no bytes of a record.
 */

/**
 * - corrupt: the bytes contradict their checksum or themselves; a fetch of the same offset may help
 * - unsupported: well formed as far as known, but nothing this codec reads; a fetch never helps
 * - too-large: beyond a limit of ours
 */
export type RecordBatchErrorKind = 'corrupt' | 'unsupported' | 'too-large';

/** What is wrong with bytes, said where nobody knows whose they are; readers make it a RecordBatchError. */
export class MalformedBytes extends Error {
  constructor(
    readonly kind: RecordBatchErrorKind,
    reason: string,
    options?: ErrorOptions,
  ) {
    super(reason, options);
    this.name = 'MalformedBytes';
  }
}

/** A batch that cannot be read, with the offset to begin at when it is asked for again. */
export class RecordBatchError extends Error {
  constructor(
    readonly kind: RecordBatchErrorKind,
    /** Next offset when the batch was met: nothing at or after it has been handed out. */
    readonly offset: number,
    reason: string,
    options?: ErrorOptions,
  ) {
    super(`record batch at offset ${offset}: ${reason}`, options);
    this.name = 'RecordBatchError';
  }
}
