/** What passes between the scoring pool and its threads. */
import type { SerializedError } from '../../core/errors.js';

export interface ScoringTask {
  readonly id: number;
  readonly modulePath: string;
  readonly moduleName: string;
  /** SchemaJson as JSON text. */
  readonly inputSchema: string;
  readonly outputSchema: string;
  readonly chunk: Uint8Array;
}

/** Told to the main thread when the module is loaded and its call begins: the deadline starts there. */
export interface ScoringStarted {
  readonly scoringStarted: number;
}

/** The results as a chunk, or why there are none. */
export type ScoringReply = Uint8Array | SerializedError;

export function isScoringStarted(message: unknown): message is ScoringStarted {
  return typeof message === 'object' && message !== null && 'scoringStarted' in message;
}
