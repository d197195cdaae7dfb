/**
 * What a gate tells whoever keeps the in-flight data of a checkpoint (journey of a barrier, when it
 * overtakes: input gate -> in-flight recorder -> channel state). Types only.
 */
import type { InFlightBuffer, RecordBatch, Watermark } from './buffer.js';

/** Where a recorded buffer stood. */
export interface InFlightOrigin {
  /** Position of the edge among the vertex's inputs. */
  readonly input: number;
  /** Undefined for recovered records that a change of parallelism has taken off their channel. */
  readonly channel: number | undefined;
}

export interface InFlightRecorder {
  /**
   * The next buffer of its origin that belongs before the barrier. It is about to be processed, so whatever is kept of
   * it is taken before this returns. Never throws.
   */
  record(origin: InFlightOrigin, buffer: InFlightBuffer): void;
  /** The barrier has come on every channel: nothing more is recorded. */
  complete(): void;
  /** The checkpoint will never be complete: what was recorded is of no use. */
  abandon(): void;
}

/** Recovered in-flight data of a gate. */
export interface RecoveredInput {
  /** By channel number, each in order. */
  readonly channels: ReadonlyMap<number, readonly (RecordBatch | Watermark)[]>;
  /** Records that are no longer on the channel they were on; they come before all else. */
  readonly rerouted: readonly { readonly input: number; readonly records: RecordBatch }[];
}
